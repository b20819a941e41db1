/* SPDX-License-Identifier: MIT */
/*
 * A child of the daemon that does one long task: one of our programs (initvm-provision, initvm-image) with one Varlink call on
 * fd 3, answered by progress and one result.  It can be killed and takes nothing of the daemon with it; when the daemon dies, it
 * ends by itself (io/run.h).
 */
#pragma once

#include "base/json.h"
#include "io/loop.h"

struct task_child;

/* Where the child finds `held_fd`. */
#define TASK_HELD_FD 4

struct task_child_options {
        const char *program; /* "initvm-image"; static */
        const char *method;
        const char *folder; /* what it works in */
        const char *log;    /* name of the file in it that its words are appended to */
        int held_fd;        /* an open lock, which is held as long as the child lives; stays the caller's; -1: none */
};

/* NULL where nobody wants to know. */
typedef void (*task_child_progress_fn)(void *userdata, struct json_object *owned_progress);
/* Once, when the child has ended: the result (borrowed) or an error. A child that dies without an answer is an error that quotes
 * its log. */
typedef void (*task_child_done_fn)(void *userdata, struct json_object *result, const struct error *err);

struct task_child *task_child_start(struct loop *loop, const struct task_child_options *options,
                                    struct json_object *owned_parameters, task_child_progress_fn progress,
                                    task_child_done_fn done, void *userdata, struct error *err);

/* Asks it to end; done comes then, most likely with ERR_CANCELLED. */
void task_child_cancel(struct task_child *child);

/* Has it end, with everything that it started, if it has not: nobody waits for that. NULL is fine. */
void task_child_free(struct task_child *child);
