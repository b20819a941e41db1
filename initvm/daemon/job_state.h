/* SPDX-License-Identifier: MIT */
/* The states of a build job, which follows which, and what a guest's result means. Pure: a table. */
#pragma once

#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

enum job_state {
        JOB_QUEUED,     /* waits for its turn */
        JOB_PREPARING,  /* the VM is started, the inputs are sent; the command has certainly not begun */
        JOB_RUNNING,    /* the guest was told to begin, or is about to be */
        JOB_COLLECTING, /* the command has ended; its artifacts are fetched to the host */
        JOB_SUCCEEDED,  /* exit status 0, and all artifacts are here */
        JOB_FAILED,
        JOB_CANCELLED,
        JOB_TIMED_OUT,
        JOB_LOST, /* what became of the command cannot be known any more */
        _JOB_STATE_MAX,
};

const char *job_state_text(enum job_state s);
/* -1 when there is no such state. */
int job_state_from_name(const char *name, enum job_state *ret);

/* Nothing follows. */
bool job_state_final(enum job_state s);

bool job_state_may_follow(enum job_state from, enum job_state to);

/* What initvm exits with when it has nothing of the command's own to pass on. */
#define JOB_STATUS_CANCELLED 130
#define JOB_STATUS_TIMED_OUT 124
#define JOB_STATUS_MACHINE   125 /* initvm, the chroot or the VM failed */

/* What result.json of the guest (initvm-agent(8), --job) means: the final state and the exit status. Whatever is not known is a
 * failure of the machine, never a success. */
void job_state_of_result(struct json_object *result, enum job_state *ret_state, unsigned *ret_status);
