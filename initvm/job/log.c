/* SPDX-License-Identifier: MIT */
#include "job/log.h"

#include "base/file.h"
#include "base/util.h"
#include "job/job.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int job_log_open(struct job_log *l, const struct job *job, uint64_t limit, struct error *err)
{
        autofree char *log = job_path(job, JOB_LOG), *times = job_path(job, JOB_TIMES);

        *l = (struct job_log){.fd = open(log, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW),
                              .times = open(times, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW),
                              .limit = limit};
        if (l->fd < 0 || l->times < 0)
                return error_errno(err, errno, "cannot write the log '%s'", log);
        return 0;
}

/* A full disk is the command's affair: it is told so by its own writes, and its output is read on. */
static void write_log(struct job_log *l, const char *data, size_t n)
{
        if (l->errnum == 0 && n > 0 && fd_write_all(l->fd, data, n) < 0)
                l->errnum = errno;
        l->size += n;
}

static void write_text(struct job_log *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void write_text(struct job_log *l, const char *fmt, ...)
{
        autofree char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        write_log(l, text, strlen(text));
}

static bool add_time(struct job_log *l)
{
        uint64_t now = now_ms();
        struct timespec t;

        if (l->time && now - l->time < LOG_TIME_STEP_MS)
                return false;
        l->time = now;
        clock_gettime(CLOCK_REALTIME, &t);
        if (!l->cut && l->errnum == 0)
                dprintf(l->times, "%" PRIu64 " %" PRIu64 "\n", l->size,
                        (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
        return true;
}

static void keep(struct job_log *l, const char *data, size_t n)
{
        while (n > 0) {
                size_t at = l->dropped % LOG_TAIL, piece = MIN(n, LOG_TAIL - at);

                memcpy(l->tail + at, data, piece);
                l->dropped += piece;
                data += piece;
                n -= piece;
        }
}

static void cut(struct job_log *l)
{
        write_text(l, "\ninitvm: the log is cut here, at its limit of %s; what comes next is its end, when the job has ended\n",
                   format_size(l->limit));
        l->tail = xcalloc(1, LOG_TAIL);
        l->cut = true;
}

bool job_log_add(struct job_log *l, const char *data, size_t n)
{
        bool new_time = add_time(l);
        size_t fits = l->cut ? 0 : (size_t)MIN((uint64_t)n, l->limit - MIN(l->size, l->limit));

        write_log(l, data, fits);
        if (fits < n && !l->cut)
                cut(l);
        if (l->cut)
                keep(l, data + fits, n - fits);
        return new_time;
}

void job_log_close(struct job_log *l)
{
        if (l->cut) {
                size_t kept = (size_t)MIN(l->dropped, (uint64_t)LOG_TAIL), at = l->dropped % LOG_TAIL;

                write_text(l, "initvm: %" PRIu64 " bytes are left out here\n", l->dropped - kept);
                if (kept == LOG_TAIL)
                        write_log(l, l->tail + at, LOG_TAIL - at);
                write_log(l, l->tail, kept == LOG_TAIL ? at : kept);
        }
        cleanup_close(&l->fd);
        cleanup_close(&l->times);
        free(l->tail);
        *l = (struct job_log)JOB_LOG_INIT;
}
