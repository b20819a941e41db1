/* SPDX-License-Identifier: MIT */
/*
 * Build jobs as folders.
 *
 *   STATE/jobs/ID/spec.json      what it is to do (spec.h), with its token
 *   STATE/jobs/ID/work/          its workspace: the inputs, later the results
 *   STATE/jobs/ID/script         its command, where that is a text
 *   STATE/jobs/ID/log, times     what it wrote, and when (log.h)
 *   STATE/jobs/ID/started.json   written first by its keeper (keeper.h): it has begun, in which boot
 *   STATE/jobs/ID/outcome.json   written last by its keeper: how the command ended
 *   STATE/jobs/ID/cancelled      somebody wants it to end
 *   STATE/jobs/ID/result.json    what has become of it (result.h); there from one rename on, and never changed
 *   STATE/jobs/.new-XXXXXX/      one that is being made, or taken away (new_job.h)
 *
 * One that has not begun belongs to the boot in which it was made: what of it has reached the disk when the machine is switched
 * off nobody knows.
 *
 * A job runs as the unit initvm-job-ID.service in initvm-jobs.slice.  Nothing stores that it runs: its unit's control group is
 * there or it is not.  The files that end a job have their room on the disk from the beginning, so that a full disk can be told.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

#define JOB_TOKEN_DIGITS 32
#define JOB_HIDDEN       ".new-"

#define JOB_SPEC      "spec.json"
#define JOB_SCRIPT    "script"
#define JOB_LOG       "log"
#define JOB_TIMES     "times"
#define JOB_STARTED   "started.json"
#define JOB_OUTCOME   "outcome.json"
#define JOB_CANCELLED "cancelled"
#define JOB_RESULT    "result.json"

#define JOBS_CGROUP "/sys/fs/cgroup"

struct jobs {
        char *folder;  /* STATE/jobs */
        char *state;   /* as given: also of the chroots */
        char *runtime; /* of the chroots */
        char *cgroup;  /* where cgroup2 is mounted */
};
#define autojobs __attribute__((cleanup(jobs_done)))

/* Makes the folder. Needs root. */
int jobs_open(struct jobs *jobs, const char *state, const char *runtime, struct error *err);
void jobs_done(struct jobs *jobs);

/* The ids of those that are there, by number. Owned; never NULL. */
char **jobs_ids(const struct jobs *jobs);

struct job {
        const struct jobs *jobs;
        char *id;
        char *token; /* NULL: there is none with this id */
        char *boot;  /* in which it was made */
        char *folder, *work;
        char *unit;   /* initvm-job-ID.service */
        char *cgroup; /* of the unit, absolute; while it runs */
};
#define JOB_INIT                                                                                                                 \
        {                                                                                                                        \
                .jobs = NULL                                                                                                     \
        }
#define autojob __attribute__((cleanup(job_done)))

/* ERR_INVALID when `id` is no decimal number or, unless it is NULL, `token` is not 32 hexadecimal digits. */
int job_find(const struct jobs *jobs, const char *id, const char *token, struct job *ret, struct error *err);
void job_done(struct job *job);

/* The words of a program of the job's unit: its own name, ID and, for tests, STATE and RUNTIME. Both are to be released in any
 * case. */
int job_find_by_words(int argc, char **argv, struct jobs *ret_jobs, struct job *ret, struct error *err);

/* Whether it is there, and with this token. */
bool job_is(const struct job *job, const char *token);

enum job_state {
        JOB_ABSENT,
        JOB_CREATED, /* not started */
        JOB_RUNNING,
        JOB_ENDED, /* there is a result */
        JOB_LOST,  /* it had begun, and is not there any more, without a result: the machine was switched off, for instance */
};
enum job_state job_state(const struct job *job);
const char *job_state_name(enum job_state state);

/* A file of the job; owned. */
char *job_path(const struct job *job, const char *name);
bool job_has(const struct job *job, const char *name);

/* The object of such a file; NULL when it cannot be read. */
struct json_object *job_read(const struct job *job, const char *name, struct error *err);

/* Writes one of them by one rename, into room that job_reserve() has taken. `final`: it has reached the disk then, and one that
 * is there stays. `o` is taken. */
int job_write(const struct job *job, const char *name, struct json_object *o, bool final, struct error *err);
int job_reserve(const char *folder, const char *name, struct error *err);

/* More than any of those files has: an error's sentence, each byte escaped, and some numbers. */
#define JOB_FILE_ROOM (8 * ERROR_MESSAGE_MAX)

/* It is not the token's any more from the first step on. Not while it runs. */
int job_remove(const struct job *job, struct error *err);
