/* SPDX-License-Identifier: MIT */
#include "cli/job_log.h"

#include "archive/compress.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A line for every tenth of a second of a week is below it. */
#define TIMES_MAX (256u << 20)

static int decompress(const void *userdata, int fd, struct error *err)
{
        return decompress_stream(*(const int *)userdata, fd, err);
}

/* What is in front of the offset is read over. */
static int skip(int fd, uint64_t offset)
{
        char data[65536];
        ssize_t n = 1;

        while (offset > 0 && n > 0) {
                n = read(fd, data, (size_t)MIN(offset, (uint64_t)sizeof(data)));
                if (n > 0)
                        offset -= (uint64_t)n;
        }
        return n < 0 ? -1 : 0;
}

static int open_compressed(struct job_log *l, const char *folder, uint64_t offset, struct error *err)
{
        autofree char *path = xasprintf("%s/log.zst", folder);
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
                return 0;
        if (fd < 0)
                return error_errno(err, errno, "cannot read '%s'", path);
        if (filter_start(&l->filter, decompress, &fd, false, err) < 0)
                return -1;
        l->fd = l->filter.fd;
        return skip(l->fd, offset) == 0 ? 0 : error_errno(err, errno, "cannot read '%s'", path);
}

int job_log_begin(struct job_log *l, const char *folder, uint64_t offset, struct error *err)
{
        autofree char *path = xasprintf("%s/log", folder);
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
                return open_compressed(l, folder, offset, err); /* it was there before `log` went */
        if (fd < 0 || lseek(fd, (off_t)offset, SEEK_SET) < 0) {
                cleanup_close(&fd);
                return error_errno(err, errno, "cannot read '%s'", path);
        }
        l->fd = fd;
        l->growing = true;
        return 0;
}

int job_log_end(struct job_log *l, struct error *err)
{
        if (l->growing)
                cleanup_close(&l->fd);
        l->fd = -1;
        l->growing = false;
        return filter_end(&l->filter, false, err);
}

void cleanup_job_log(struct job_log *l)
{
        if (l->growing)
                cleanup_close(&l->fd);
        filter_end(&l->filter, true, NULL);
}

/* ---- times */

static bool parse_line(char *line, uint64_t base, struct job_time *ret)
{
        char *time = strchr(line, ' ');

        if (!time)
                return false;
        *time++ = '\0';
        if (parse_u64(line, 0, INT64_MAX, &ret->offset) < 0 || parse_u64(time, 0, INT64_MAX, &ret->time) < 0)
                return false;
        ret->offset += base;
        return true;
}

int job_times_read(struct job_times *t, const char *folder, uint64_t base, struct error *err)
{
        autofree char *path = xasprintf("%s/log.times", folder), *text = NULL;
        size_t room = 0;

        *t = (struct job_times){0};
        if (access(path, F_OK) < 0)
                return 0;
        text = file_read(path, TIMES_MAX, NULL, err);
        if (!text)
                return -1;
        for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
                *end = '\0';
                if (t->n == room)
                        t->all = xrealloc(t->all, room = MAX(2 * room, (size_t)64), sizeof(*t->all));
                t->n += parse_line(line, base, &t->all[t->n]);
        }
        return 0;
}

void job_times_done(struct job_times *t)
{
        free(t->all);
        *t = (struct job_times){0};
}

uint64_t job_times_at(const struct job_times *t, uint64_t offset)
{
        size_t low = 0, high = t->n;

        while (low < high) { /* the first one behind it */
                size_t middle = low + (high - low) / 2;
                if (t->all[middle].offset <= offset)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low > 0 ? t->all[low - 1].time : 0;
}

uint64_t job_times_since(const struct job_times *t, uint64_t time)
{
        for (size_t i = 0; i < t->n; i++)
                if (t->all[i].time >= time)
                        return t->all[i].offset;
        return UINT64_MAX;
}

static void add_stamp(uint64_t ms, struct buf *out)
{
        time_t seconds = (time_t)(ms / 1000);
        struct tm tm;
        char text[32];

        localtime_r(&seconds, &tm);
        if (ms == 0 || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
                buf_printf(out, "%23s ", "-");
        else
                buf_printf(out, "%s.%03u ", text, (unsigned)(ms % 1000));
}

void job_stamps_add(struct job_stamps *s, const void *data, size_t n, struct buf *out)
{
        const char *at = data, *end = at + n;

        while (at < end) {
                const char *newline = memchr(at, '\n', (size_t)(end - at));
                size_t length = newline ? (size_t)(newline - at) + 1 : (size_t)(end - at);

                if (!s->in_line)
                        add_stamp(job_times_at(s->times, s->at), out);
                buf_append(out, at, length);
                s->in_line = !newline;
                s->at += length;
                at += length;
        }
}
