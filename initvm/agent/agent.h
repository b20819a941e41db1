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
        struct port *port;
        struct mux *mux;
        struct rlimit nofile; /* what we were started with, for the commands */
        LIST_HEAD(, exec) commands;
        size_t n_running;  /* commands not yet reaped, with or without a stream */
        size_t n_starting; /* those of them of which it is not known yet whether they could be executed */
        LIST_HEAD(, listener) listeners;
        size_t n_listeners;
        struct binfmt_watch *binfmt; /* NULL: nothing to watch */
        bool ended;                  /* the port is gone: the agent ends with the last command */
        bool updating;               /* a new program is coming in: update.h */
        char *new_program;           /* it is to be executed as soon as nothing is in between: handover.h */
};

/* The last thing about a command: it is reaped and forgotten. */
void agent_command_gone(struct agent *agent);
