/* SPDX-License-Identifier: MIT */
/*
 * What a job writes, byte by byte, into the file `log`; and into `times` a line "OFFSET MS" whenever something came after a
 * while: what stands in the log from OFFSET on was written at MS, in milliseconds since 1970.
 *
 * A log that has reached its limit is cut there, with a line that says so; of what comes then the end is kept, and stands behind
 * that line when the job has ended.  Nothing that is written in the log is ever changed.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kept of the end of a log that was cut: a compiler's last words and what make(1) says to them. */
#define LOG_TAIL ((size_t)64 * 1024)

/* What is written within that time has one time: a line of `times` is 25 bytes. */
#define LOG_TIME_STEP_MS 100

struct job_log {
        int fd, times;
        uint64_t size, limit;
        uint64_t dropped; /* after it was cut */
        uint64_t time;    /* now_ms() of the last line in `times` */
        char *tail;       /* LOG_TAIL bytes, used as a ring: what was dropped at offset N is at N % LOG_TAIL */
        bool cut;
        int errnum; /* of a write that failed, after which nothing more is written */
};
#define JOB_LOG_INIT                                                                                                             \
        {                                                                                                                        \
                .fd = -1, .times = -1                                                                                            \
        }

/* Both files are there, and empty. */
struct job;
int job_log_open(struct job_log *l, const struct job *job, uint64_t limit, struct error *err);

/* Returns whether it has a new time: something came after a while. */
bool job_log_add(struct job_log *l, const char *data, size_t n);

/* Writes what was kept of the end, and closes it. */
void job_log_close(struct job_log *l);
