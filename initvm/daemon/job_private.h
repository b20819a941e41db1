/* SPDX-License-Identifier: MIT */
/* What the files job*.c share. */
#pragma once

#include "daemon/job_store.h"
#include "daemon/jobs.h"
#include "daemon/worker.h"

struct job {
        struct jobs *jobs;
        struct job_record record;
        char *folder;
        struct job_run *run;           /* while it is worked on */
        struct json_object *heartbeat; /* the guest's last one; NULL: none yet */
        char *stage;                   /* what is being done for it, for people; NULL: its state says it */
        bool sealing;                  /* its log is being compressed */
};

struct jobs {
        struct loop *loop;
        struct job_store store;
        struct job_machines machines;
        struct worker *worker; /* for what blocks on files: not the one that libvirt's calls wait for */
        struct job **all;      /* by their numbers */
        size_t n, n_open;      /* ... that have not ended */
        struct job_watch *watches;
        struct job_sweep *sweeps;
        struct json_object *limits; /* a number for each VM that has one: jobs/limits.json */
        struct loop_source *kick;
        unsigned made; /* chroots since the daemon began: what was looked for before may be there now */
        bool begun, stopped;
};

/* jobs.c: each of them is written to the disk and told to who watches. -1: it could not be written, and nothing has changed. */
int job_move(struct job *job, enum job_state to, struct error *err);
int job_save(struct job *job, struct error *err);
/* To a final state. What cannot be written is logged: the guest keeps its result, and the next daemon comes to the same end. */
void job_end(struct job *job, enum job_state state, uint64_t status, const char *message);
/* It is in the table no more, and freed. */
void job_drop(struct job *job);
/* Queued again, as a new attempt, because it was lost (`why`). */
void job_again(struct job *job, const char *why);

/* job_run.c: brings one job from queued, or from where a daemon before us left it, to its end. */
void job_run_begin(struct job *job);
void job_run_cancel(struct job_run *run); /* record.cancel has been set */
void job_run_free(struct job_run *run);

/* job_watch.c */
void job_tell(struct job *job, const char *event);
void job_tell_removed(struct job *job);
void job_watches_done(struct jobs *j);

/* job_chores.c: what is done on the side. */
void job_compress_log(struct job *job);                /* of one that has ended */
void job_chores_ready(struct jobs *j, const char *vm); /* its agent answers: what is left of removed jobs there can go */
void job_chores_lost(struct jobs *j, const char *vm);  /* ... was lost: what was removed there may be back */
void job_chores_done(struct jobs *j);

/* In the job's folder, while they come. */
#define JOB_ARTIFACTS_PART "artifacts.tar.part"

/* job_files.c: blocking, for the worker. */
struct job_seal {
        char *folder;
        struct json_object *artifacts; /* what the guest reported of artifacts.tar.part; NULL: there is none */
        bool failed;
        struct error err;
};
/* Verifies the artifacts and gives them their name; syncs them and the log. */
void job_files_seal(struct job_seal *s);
/* log becomes log.zst. */
int job_files_compress(const char *folder, struct error *err);
