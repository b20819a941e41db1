/* SPDX-License-Identifier: MIT */
/*
 * What has become of a job: made of what systemd says of its unit (systemd.exec(5), $SERVICE_RESULT), of what its keeper has
 * written down, and of its control group.  A pure function: failed, until something says otherwise.
 */
#pragma once

#include "job/emulation.h"
#include "job/job.h"
#include "job/spec.h"
#include "job/stats.h"

/* outcome.json, as the keeper writes it. */
struct outcome {
        bool known;           /* there is one: the keeper has lived up to the command's end */
        enum error_code code; /* ERR_NONE: the command ran */
        char message[ERROR_MESSAGE_MAX];
        int wait_status; /* of the command, as of waitpid(2) */
        bool stopped;    /* it was told to end before it did */
        bool log_cut;
        uint64_t disk;    /* bytes that the job took then; 0: not known */
        uint64_t wall_ms; /* from the job's begin to the command's end */
        struct emulation emulation;
};
struct json_object *outcome_json(const struct outcome *outcome);
void outcome_read(struct json_object *o, struct outcome *ret); /* NULL: not known */

struct ending {
        const char *service_result; /* $SERVICE_RESULT: "success", "timeout", "watchdog", "oom-kill", "signal", ... */
        const char *exit_status;    /* $EXIT_STATUS of the keeper, for messages */
        struct outcome outcome;
        bool cancelled; /* somebody wanted it */
        bool no_space;  /* the end of the log says that the disk is full */
        struct stats stats;
};

/* {"result": NAME, "status": N, "message": SENTENCE, "stats": {"wall": ms, "cpu": usec, "memoryPeak", "read", "written", "disk":
 * bytes, "emulated": per cent of the samples in which it ran at all}, "logCut": BOOL}.  RESULT is one of exited (status: its
 * own), signaled (the signal's number), timeout, silence, oom, disk-full, cancelled, no-command, not-executable, chroot, machine
 * (what looked after the job has ended). Owned. */
struct json_object *result_new(const struct ending *e, const struct spec *spec);

/* Whether a text says so, in the words of strerror(3). */
bool result_says_no_space(const char *text, size_t n);
