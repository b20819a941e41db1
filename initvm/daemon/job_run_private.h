/* SPDX-License-Identifier: MIT */
/* What job_run.c (the walk), job_prepare.c and job_collect.c (its steps before and after the command) share. */
#pragma once

#include "daemon/chroot_child.h"
#include "daemon/job_exec.h"
#include "daemon/job_private.h"

enum step {
        STEP_READY,
        STEP_CHROOT,
        STEP_MAKE,
        STEP_CREATE,
        STEP_START,
        STEP_FOLLOW,
        STEP_STATUS,
        STEP_GIVE_UP,
        STEP_ARTIFACTS,
        STEP_TIMES,
        STEP_SEAL,
        STEP_REMOVE,
};

/* What may outlive the run: the machine, or the worker, calls back once, whatever happens. */
struct pending {
        struct job_run *run; /* NULL: it is gone */
        struct job_seal seal;
};

struct job_run {
        struct job *job;
        struct jobs *jobs;
        struct job_spec spec;
        enum step step;
        unsigned look; /* jobs->made when it was looked for the chroot */
        bool parked;   /* another job makes the chroot that this one wants */
        struct job_exec *exec;
        struct job_exec *cancel; /* `--job cancel`, beside it */
        struct chroot_child *making;
        struct pending *pending;
        struct loop_source *again; /* a timer: back to READY */
        struct buf answer;
        char *chroot;               /* NULL: the VM itself */
        char *suite, *architecture; /* of one that is made when it is not there */
        struct json_object *artifacts;
        uint64_t log_size;   /* of this attempt's log here */
        int times_fd;        /* log.times; -1: it is not written */
        uint64_t time_noted; /* now_ms() of its last line */
        unsigned reconnects, fetches;
        bool followed; /* to the end of what there is */
        enum job_state outcome;
        uint64_t status;
        char *message;
        struct error error; /* why it is given up */
};

/* To the next step. Nothing of the run may be touched after this, and after each of the ends below: it may be gone. */
void job_run_go(struct job_run *run, enum step step);
void job_run_end(struct job_run *run, enum job_state state, uint64_t status, const char *message);
void job_run_fail(struct job_run *run, const struct error *err); /* initvm, the chroot or the VM has failed, not the command */
void job_run_lost(struct job_run *run, const char *why);
bool job_run_move(struct job_run *run, enum job_state to); /* false: it could not be written, and that was the end */

/* The command of the step that is under way: "--job", `command`, the number, the token, and `last` unless that is NULL. The fds
 * of the options are taken; argv is filled in. */
void job_run_command(struct job_run *run, const char *command, const char *last, struct job_exec_options *options);
void job_run_simple(struct job_run *run, const char *command, const char *last); /* without files */
extern const struct job_exec_events job_run_events;
void job_run_progress(void *userdata, struct json_object *event); /* what is being done, for those who look */
void job_run_done(void *userdata, const struct error *err);       /* it has ended, or could not begin */

struct channel *job_run_channel(struct job_run *run); /* of its VM; NULL when that does not run */
int job_run_open(struct job_run *run, const char *name, int flags, struct error *err); /* a file in the job's folder */
struct pending *job_run_pending(struct job_run *run);

void job_prepare_chroot(struct job_run *run); /* is it there? */
void job_prepare_looked(struct job_run *run, const struct error *err);
void job_prepare_make(struct job_run *run);
void job_prepare_made(struct job_run *run, const struct error *err);
void job_prepare_wake(struct jobs *j); /* those that wait for a chroot look again */
void job_prepare_create(struct job_run *run);

bool job_collect_wanted(const struct job_run *run); /* there are to be artifacts */
void job_collect_judge(struct job_run *run);        /* what the result comes to when nothing else goes wrong */
void job_collect_end(struct job_run *run);          /* ... and that it is */
bool job_collect_known(struct job_run *run);        /* all is here already, and what it ends as is known */
void job_collect_artifacts(struct job_run *run);
void job_collect_fetched(struct job_run *run, const struct error *err);
void job_collect_times(struct job_run *run);
void job_collect_timed(struct job_run *run, const struct error *err);
void job_collect_seal(struct job_run *run);
void job_collect_remove(struct job_run *run);
void job_collect_removed(struct job_run *run, const struct error *err);
