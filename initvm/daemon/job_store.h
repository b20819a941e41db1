/* SPDX-License-Identifier: MIT */
/*
 * The jobs' folders, <state>/jobs/ID.  A job exists from the rename that gives its folder this name on, until it is renamed
 * to .removed-ID.  Numbers are never used twice: `jobs/last` has the highest that was given.
 *
 *   job.json        what is known (job_record.h)
 *   inputs.tar      what is unpacked into the workspace; goes when the job has succeeded
 *   log, log.zst    what the command wrote, byte by byte; the second one instead of the first once it is compressed
 *   log.times       when: lines "OFFSET MILLISECONDS" (Unix time)
 *   artifacts.tar   the artifacts, verified
 */
#pragma once

#include "daemon/job_record.h"

struct job_store {
        char *folder; /* <state>/jobs */
        uint64_t last;
};

/* Makes the folder when it is not there. */
int job_store_init(struct job_store *s, const char *state, struct error *err);
void job_store_done(struct job_store *s);

/* The path of a job's folder, or of `file` in it. Owned. */
char *job_store_path(const struct job_store *s, uint64_t id, const char *file);

/* What is there, in the order of the numbers: fn gets each record (which it takes), or the reason why one cannot be read. What
 * is left of removed jobs, and new folders whose makers are gone, go. Blocks. */
typedef void (*job_store_fn)(void *userdata, struct job_record *record, const struct error *err);
void job_store_load(struct job_store *s, job_store_fn fn, void *userdata);

/* Takes in the folder `name` that a client has made (base/new_folder.h), with inputs.tar or without; NULL: makes one. Fills the
 * record's id and inputs, and writes it. ERR_INVALID when the folder is not what it should be. */
int job_store_add(struct job_store *s, const char *name, struct job_record *record, struct error *err);

/* From now on there is no such job; its files are removed by job_store_sweep(). */
int job_store_remove(const struct job_store *s, uint64_t id, struct error *err);

/* Removes the files of a job that was removed. Blocks; for a worker. */
void job_store_sweep(const struct job_store *s, uint64_t id);
