/* SPDX-License-Identifier: MIT */
/* What wakes it is inotify(7): the log has grown, a result has its name, the job was taken away. */
#include "job/follow.h"

#include "archive/report.h"
#include "base/file.h"
#include "job/log.h"
#include "job/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE ((size_t)64 * 1024)

struct follower {
        const struct job *job;
        int log, watch;
        off_t offset;
        unsigned beat_ms;
        uint64_t beat; /* now_ms() of the next heartbeat */
        char *piece;
};

/* Everything that is there. */
static int copy(struct follower *f, struct error *err)
{
        ssize_t n;

        while ((n = pread(f->log, f->piece, PIECE, f->offset)) > 0) {
                if (fd_write_all(STDOUT_FILENO, f->piece, (size_t)n) < 0)
                        return error_errno(err, errno, "cannot pass the log on");
                f->offset += n;
        }
        return n < 0 ? error_errno(err, errno, "cannot read the log of job %s", f->job->id) : 0;
}

static uint64_t silence_ms(const struct follower *f)
{
        struct timespec now;
        struct stat st;
        int64_t ms;

        if (fstat(f->log, &st) < 0)
                return 0;
        clock_gettime(CLOCK_REALTIME, &now);
        ms = (int64_t)(now.tv_sec - st.st_mtim.tv_sec) * 1000 + (now.tv_nsec - st.st_mtim.tv_nsec) / 1000000;
        return (uint64_t)MAX(ms, (int64_t)0); /* a clock may be set back */
}

static void beat(struct follower *f)
{
        struct json_object *o = json_new(), *values = json_new();
        struct stats stats;

        stats_read(f->job->cgroup, &stats);
        json_add_u64(values, "silence", silence_ms(f));
        json_add_u64(values, "cpu", stats.cpu_us);
        json_add_u64(values, "memory", stats.memory);
        json_add_u64(values, "read", stats.read);
        json_add_u64(values, "written", stats.written);
        json_add(o, "heartbeat", values);
        report_object(STDERR_FILENO, o);
        f->beat = now_ms() + f->beat_ms;
}

/* Nobody tells when a job is lost: its keeper has ended without a result. That is seen at the next heartbeat. */
static int check(const struct follower *f, struct error *err)
{
        switch (job_state(f->job)) {
        case JOB_LOST:
                return error_set(err, ERR_STATE, "job %s has ended in the VM without a result", f->job->id);
        case JOB_ABSENT:
                return error_set(err, ERR_NOT_FOUND, "job %s was removed from the VM", f->job->id);
        default:
                return 0;
        }
}

static int wait_for_more(struct follower *f, struct error *err)
{
        struct pollfd p = {.fd = f->watch, .events = POLLIN};
        uint64_t now = now_ms();
        int r = now < f->beat ? poll(&p, 1, (int)(f->beat - now)) : 0;

        if (r > 0)
                while (read(f->watch, f->piece, PIECE) > 0) /* what exactly has happened is looked at anyway */
                        ;
        else if (r == 0)
                beat(f);
        else if (errno != EINTR)
                return error_errno(err, errno, "cannot follow job %s", f->job->id);
        if (r == 0 || access(f->job->folder, F_OK) < 0)
                return check(f, err);
        return 0;
}

static int run(struct follower *f, struct error *err)
{
        f->beat = now_ms() + f->beat_ms;
        for (;;) {
                bool ended = job_has(f->job, JOB_RESULT); /* asked first: nothing is written after it */

                if (copy(f, err) < 0)
                        return -1;
                if (ended)
                        return 0;
                if (wait_for_more(f, err) < 0)
                        return -1;
        }
}

int follow(const struct job *job, uint64_t offset, unsigned beat_ms, struct error *err)
{
        autofree char *log = job_path(job, JOB_LOG), *piece = xcalloc(1, PIECE);
        autoclose int fd = open(log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        struct follower f = {.job = job, .log = fd, .watch = watch, .offset = (off_t)offset, .beat_ms = beat_ms, .piece = piece};

        if (fd < 0 || watch < 0 || inotify_add_watch(watch, job->folder, IN_MODIFY | IN_MOVED_TO | IN_MOVE_SELF | IN_ONLYDIR) < 0)
                return error_errno(err, errno, "cannot follow job %s", job->id);
        return run(&f, err);
}
