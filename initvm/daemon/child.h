/* SPDX-License-Identifier: MIT */
/*
 * A child of the daemon with a connection to it.  It has ended when the process is gone and all that it said was heard, in
 * whichever order that is noticed.
 */
#pragma once

#include "base/process.h"
#include "io/conn.h"

struct child;

/* In child_options.fds: the child's end of the connection. */
#define CHILD_CONNECTION (-1)

struct child_events {
        void (*input)(void *userdata);                  /* there is more in conn_input(); it may not free the child */
        void (*ended)(void *userdata, int wait_status); /* once; it frees the child */
};

struct child_options {
        char *const *argv;
        char *const *environment; /* NULL: ours */
        const struct process_fd *fds;
        size_t n_fds;
};

/* The child leads a process group of its own, has '/' as its folder, and is sent SIGTERM when the daemon dies. NULL with err. */
struct child *child_start(struct loop *loop, const struct child_options *options, const struct child_events *events,
                          void *userdata, struct error *err);

struct conn *child_conn(const struct child *c);

/* Sends it a signal, if it still runs. */
void child_signal(const struct child *c, int signal);

/* Nobody is told any more; what still runs is seen to its end by the reaper. NULL is fine. */
void child_free(struct child *c);
