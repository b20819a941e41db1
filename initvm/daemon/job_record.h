/* SPDX-License-Identifier: MIT */
/*
 * What is known of a job: job.json in its folder, written whole and synced before anything follows from it.
 *
 * Times are Unix time in milliseconds, 0 where not.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "daemon/job_state.h"
#include "wire/job_spec.h"

struct job_record {
        uint64_t id;
        char *vm;
        char *name;               /* for people */
        struct json_object *spec; /* as submitted; job_spec_read() has accepted it */
        enum job_state state;
        char token[JOB_TOKEN_SIZE]; /* of this attempt; known to the guest */
        uint64_t attempt;           /* 1 for the first */
        uint64_t preparations;      /* how often the VM went away before this attempt began */
        uint64_t log_base;          /* where the log of this attempt begins in the log's file */
        uint64_t retry_of;          /* the job that this one repeats; 0: none */
        uint64_t submitted, prepared, started, finished, ended;
        char *acceleration;            /* of the VM that ran it; NULL while not known */
        bool inputs;                   /* inputs.tar is there */
        bool cancel;                   /* it was asked for */
        bool workspace;                /* there may be one in the guest */
        bool workspace_kept;           /* ... which is to stay */
        struct json_object *result;    /* the guest's; NULL while there is none */
        enum job_state outcome;        /* while collecting: the state that it ends with, once all is here; JOB_QUEUED before */
        uint64_t status;               /* of a final state, or an outcome: what initvm exits with */
        char *message;                 /* one sentence about a final state, or why it is queued again; NULL: nothing to say */
        struct json_object *artifacts; /* an array of {name, size, sha256}; NULL: none were fetched */
};

/* A new one, queued. The spec is shared. */
void job_record_init(struct job_record *r, uint64_t id, const char *vm, struct json_object *spec, const char *name);
void job_record_done(struct job_record *r);

/* A new attempt: its token. */
void job_record_new_token(struct job_record *r);

int job_record_load(struct job_record *r, const char *folder, struct error *err);
int job_record_save(const struct job_record *r, const char *folder, struct error *err);

/* The Job of the interface (owned); `whole` has the spec and the token as well. */
struct json_object *job_record_describe(const struct job_record *r, const char *folder, bool whole);

uint64_t job_time(void); /* now */
