/* SPDX-License-Identifier: MIT */
/* What exec.c and exec_handover.c share. */
#pragma once

#include "agent/exec.h"
#include "agent/input.h"
#include "base/account.h"

struct output {
        struct pump pump; /* first: the pump's address is ours */
        struct exec *exec;
        uint8_t channel;
        int fd;
        struct loop_source *source;
        bool starved; /* there may be something to read, but there is no credit */
};

struct exec {
        struct agent *agent;
        LIST_ENTRY(exec) link; /* in agent->commands */
        struct stream *stream; /* NULL when it has ended or was lost */

        char **argv;
        bool login; /* what is executed is the account's shell */
        char **environment;
        char *cwd;
        struct account account;

        pid_t pid;
        struct loop_source *child; /* NULL when reaped */
        int wait_status;
        int status_fd; /* open until it is known whether the command could be executed */
        struct loop_source *status_source;
        struct loop_source *kill_timer; /* while its group is given time to end */

        struct input input;
        struct output outputs[2];
        int slave;        /* of the terminal; -1: there are pipes */
        size_t rest_read; /* from the terminal after the command's end */
};

/* Neither started nor with anything open; the stream's events, if there is one, come here from now on. */
struct exec *exec_new(struct agent *agent, struct stream *stream);

/* It runs: the ends of it and of its outputs are awaited. */
void exec_watch_child(struct exec *e);
void exec_watch_outputs(struct exec *e);

/* What is left of its group in EXEC_KILL_AFTER_MS is killed. */
void exec_kill_later(struct exec *e);

/* The final reply when everything is in. */
void exec_finish_when_done(struct exec *e);
