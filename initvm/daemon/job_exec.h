/* SPDX-License-Identifier: MIT */
/*
 * One command of the agent's own program that the daemon runs in a guest as root: a file into its standard input, its standard
 * output into a file or to a callback, reports (archive/report.h) from its standard error.
 *
 * Credits go both ways, so that never more than a window of either is in memory; a file is read only as fast as the port takes
 * it.
 */
#pragma once

#include "base/json.h"
#include "daemon/channel.h"

struct job_exec;

/* A helper in the guest that says nothing, and takes nothing, for so long hangs. A guest that is emulated and busy is slow. */
#define HELPER_IDLE_MS (10 * 60 * 1000)

struct job_exec_options {
        char *const *argv;  /* behind the program's name */
        const char *prefix; /* written to its standard input first, or NULL */
        int input_fd;       /* then this file up to its end; -1: none. Owned */
        int output_fd;      /* where its standard output goes; -1: to `output`. Owned */
        uint64_t idle_ms;   /* given up when nothing was heard for so long: ERR_TIMEOUT */
};

/* None but `done` may end the command. */
struct job_exec_events {
        /* What it writes to its standard output, after a file has taken it if there is one. May be NULL. */
        void (*output)(void *userdata, const uint8_t *data, size_t n);
        /* A stage has begun (type Progress of org.initvm). May be NULL. */
        void (*progress)(void *userdata, struct json_object *event);
        /* A report that is none of archive/report.h. May be NULL. */
        void (*report)(void *userdata, struct json_object *o);
        /* Once, and the command is freed by then. NULL: it ended with status 0. ERR_DISCONNECTED: what became of it is not known.
         */
        void (*done)(void *userdata, const struct error *err);
};

/* NULL with ERR_DISCONNECTED when the agent is not there, else with the reason. */
struct job_exec *job_exec_start(struct loop *loop, struct channel *channel, const struct job_exec_options *options,
                                const struct job_exec_events *events, void *userdata, struct error *err);

/* Hangs it up, without a callback. NULL is fine. */
void job_exec_cancel(struct job_exec *e);
