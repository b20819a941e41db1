/* SPDX-License-Identifier: MIT */
/*
 * The log of a job, read from its folder: `log` while it grows and until it is compressed, log.zst afterwards.  Whoever has
 * opened it reads on to its end, whatever becomes of the name.
 */
#pragma once

#include "base/error.h"
#include "base/util.h"
#include "cli/filter.h"

#include <stdint.h>

struct job_log {
        int fd;               /* to be read; -1: there is none yet */
        bool growing;         /* it is `log`, whose end may not be that of the job */
        struct filter filter; /* of log.zst */
};
#define JOB_LOG_INIT                                                                                                             \
        {                                                                                                                        \
                .fd = -1, .filter = FILTER_INIT                                                                                  \
        }

/* 0, also when there is none yet. The fd is at `offset`. */
int job_log_begin(struct job_log *l, const char *folder, uint64_t offset, struct error *err);
int job_log_end(struct job_log *l, struct error *err);
#define autojoblog __attribute__((cleanup(cleanup_job_log)))
void cleanup_job_log(struct job_log *l);

/* When what is at an offset was written, from log.times: Unix time in milliseconds. Offsets there begin at `base`. */
struct job_times {
        struct job_time {
                uint64_t offset, time;
        } * all;
        size_t n;
};
int job_times_read(struct job_times *t, const char *folder, uint64_t base, struct error *err); /* empty when there are none */
void job_times_done(struct job_times *t);
uint64_t job_times_at(const struct job_times *t, uint64_t offset); /* 0: not known */
uint64_t job_times_since(const struct job_times *t,
                         uint64_t time); /* the first offset that was written then or later; UINT64_MAX */

/* Puts "2026-11-22T09:45:12.123 " in front of each line. */
struct job_stamps {
        const struct job_times *times;
        uint64_t at; /* offset of what comes next */
        bool in_line;
};
void job_stamps_add(struct job_stamps *s, const void *data, size_t n, struct buf *out);
