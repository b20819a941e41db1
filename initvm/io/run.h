/* SPDX-License-Identifier: MIT */
/*
 * One run of a child of the daemon as seen from the outside: the call it answers, its progress, the tools it starts, its end.
 *
 * A run is a straight line of stages; what may interrupt it (the caller closing its end, TERM, INT) is watched while a tool
 * runs, which is all the time that counts.  Then the tool and everything it started is killed, and run_tool() fails with
 * ERR_CANCELLED; whoever called it cleans up and passes that on.  After run_commit() nothing interrupts it any more.
 */
#pragma once

#include "base/error.h"
#include "base/process.h"
#include "base/util.h"

#include <stdbool.h>
#include <stddef.h>

/* The last lines of a tool's output that an error quotes, and how many the classification of a failure may look at. */
#define RUN_TAIL_SHOWN 6
#define RUN_TAIL_KEPT  60

/* The environment variable by which processes that belong to a run are known: its value is the folder. */
#define RUN_FOLDER_VARIABLE "INITVM_TASK"

struct run {
        int control;     /* the connection to our caller */
        int signals;     /* signalfd of TERM and INT */
        int report_read; /* what our hooks tell: JSON lines */
        int report_write;
        struct buf reports;
        struct error hook_error; /* the last error that a hook told */
        char *stage;             /* under way; NULL: none */
        uint64_t stage_start;
        uint64_t last_update;
        char *tail[RUN_TAIL_KEPT]; /* a ring: the last lines of the tool that ran last */
        size_t n_tail;             /* lines it has written in all */
        const char *const *noise;  /* of that tool */
        bool cancelled;
        bool committed;
};

int run_init(struct run *run, int control, struct error *err);
void run_done(struct run *run);

/* What the run is for counts from here on, and the rest is short: cancelling comes too late. */
void run_commit(struct run *run);

/* Ends the stage under way and begins the next one. NULL only ends. */
void run_stage(struct run *run, const char *stage, const char *text);

/* How far the stage is; percent -1 when unknown. Sent a few times a second at most. */
void run_update(struct run *run, const char *text, int percent);
void run_warning(struct run *run, const char *text);

/* Sends a varlink reply or error; failure to send means cancelled. */
void run_send(struct run *run, struct buf *message);

struct run_tool {
        char *const *argv;
        const char *name; /* in messages; NULL: argv[0] */
        char *const *environment;
        const struct process_fd *fds; /* besides 1 and 2, which are read line by line and logged */
        size_t n_fds;
        const char *cwd;
        unsigned timeout;                               /* seconds of silence; 0: none */
        int *ret_exit;                                  /* an exit status besides 0 is no failure, and goes here; or NULL */
        void (*line)(void *userdata, const char *line); /* each line of output; may be NULL */
        const char *const *noise; /* NULL-terminated: lines that begin so say nothing about a cause; static; or NULL */
        void *userdata;
};

/* Runs it to its end. Fails when it cannot be started, was cancelled (ERR_CANCELLED), took too long (ERR_TIMEOUT) or ended
 * with another status than 0: then the message has the status only, and run_explain() adds the output. */
int run_tool(struct run *run, const struct run_tool *tool, struct error *err);

/* The lines the last tool wrote: i counts from its last one; NULL when there is none. */
const char *run_tail(const struct run *run, size_t i);

/* Whether one of them holds this text; returns the line. */
const char *run_tail_find(const struct run *run, const char *text);

/* Appends the last meaningful lines to the message. Returns -1. */
int run_explain(const struct run *run, struct error *err);

/* Turns the failure of a tool into the sentence for its cause, with the tool's last lines; `folder` is where the run works.
 * Returns -1. */
int run_explain_cause(const struct run *run, const char *folder, struct error *err);
