/* SPDX-License-Identifier: MIT */
/*
 * Threads for calls that block: libvirt's (create, destroy, save: 0.3 to 6 s) and removing trees.  A job's `run` is called in a
 * thread and touches only what is the job's own; `done` is called afterwards in the loop's thread.  Jobs beyond the number of
 * threads wait in order.
 */
#pragma once

#include "io/loop.h"

/* libvirt's connection tolerates five calls in flight (max_client_requests); one is kept free for the loop's own quick calls. */
#define WORKER_THREADS 4

struct worker;

struct worker *worker_new(struct loop *loop);
void worker_run(struct worker *w, loop_fn run, loop_fn done, void *userdata);
/* The same; when it is dropped, `drop` is called instead of both. */
void worker_run_or(struct worker *w, loop_fn run, loop_fn done, loop_fn drop, void *userdata);
/* Waits for the running jobs; drops the waiting ones; their `done` is not called. */
void worker_free(struct worker *w);
