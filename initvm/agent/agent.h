/* SPDX-License-Identifier: MIT */
/* What the parts of the running agent share. */
#pragma once

#include "agent/mux.h"
#include "io/loop.h"

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/resource.h>

struct agent {
        struct loop *loop;
        struct mux *mux;
        struct rlimit nofile; /* what we were started with, for the commands */
        size_t n_running;     /* commands not yet reaped, with or without a stream */
        LIST_HEAD(, listener) listeners;
        size_t n_listeners;
        bool ended; /* the port is gone: the agent ends with the last command */
};

/* The last thing about a command: it is reaped and forgotten. */
void agent_command_gone(struct agent *agent);
