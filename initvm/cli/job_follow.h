/* SPDX-License-Identifier: MIT */
/*
 * Follows a job: its log is read from its file as it grows (inotify(7)), its states come from the daemon.  However slowly our own
 * reader reads, nobody else has to wait for it.  A daemon that goes away is started again: the job does not notice.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

struct job_follow {
        uint64_t id;
        const char *folder;
        uint64_t offset; /* of the log, where to begin */
        bool timestamps;
        uint64_t base; /* of the attempt whose times are known */
        bool json;     /* the daemon's events on standard output, instead of the log */
        bool ours;     /* we have submitted it: Ctrl-C detaches, SIGTERM cancels it; and its stages are told */
};

/* Until it has ended and all of its log is written: 0 with *ret_job (owned). -1 with *err. Otherwise 128+N: signal N has ended
 * this, and the user was told what becomes of the job. */
int job_follow(const struct job_follow *f, struct json_object **ret_job, struct error *err);

/* The rest of a log, from `offset` on, to an fd; blocks. */
int job_log_print(const struct job_follow *f, int fd, struct error *err);
