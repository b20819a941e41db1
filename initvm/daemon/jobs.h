/* SPDX-License-Identifier: MIT */
/*
 * All build jobs: taken in, queued by priority and then first come, run as many at once as their VM has CPUs or was told to, and
 * kept until they are removed.  Whatever is killed when, each job is in one true state again when the next daemon has loaded it.
 */
#pragma once

#include "base/json.h"
#include "daemon/job_machines.h"
#include "daemon/job_record.h"
#include "io/loop.h"

struct jobs;
struct job;

/* Jobs that have not ended, of all VMs: far more than a morning's builds, far less than what would fill the memory. */
#define JOBS_OPEN_MAX 10000u

/* `state` is the folder that has jobs/. Loads what is there; nothing is begun before jobs_begin(). */
struct jobs *jobs_new(struct loop *loop, const char *state, const struct job_machines *machines, struct error *err);
/* Recovery, and the first look at the queue. */
void jobs_begin(struct jobs *j);
/* Lets go of all guests: nothing is done after that. Their jobs go on there. */
void jobs_stop(struct jobs *j);
void jobs_free(struct jobs *j); /* NULL is fine */

/* Looks at the queue again, soon: a VM has come, gone, or ended what it was doing. */
void jobs_kick(struct jobs *j);

/* Takes a job in. `folder`: what the client has made below jobs/ (job_store.h); NULL: there are no inputs. */
int jobs_submit(struct jobs *j, const char *vm, struct json_object *spec, const char *folder, struct job **ret,
                struct error *err);

struct job *jobs_find(struct jobs *j, uint64_t id, struct error *err); /* ERR_NOT_FOUND */
struct job *jobs_next(struct jobs *j, uint64_t after);                 /* the one with the next higher number, or NULL */
const struct job_record *job_get_record(const struct job *job);

/* As Job of the interface (owned). */
struct json_object *job_describe(const struct job *job, bool whole);

/* The job ends as soon as it can; ERR_STATE when it has already. */
int jobs_cancel(struct jobs *j, struct job *job, struct error *err);

/* The same again, as a new job. ERR_STATE while it has not ended, or when its inputs are not there any more. */
int jobs_retry(struct jobs *j, struct job *job, struct job **ret, struct error *err);

/* Removes a job that has ended (else ERR_STATE): here at once, in its VM as soon as that can be reached. */
int jobs_remove(struct jobs *j, struct job *job, struct error *err);

/* Has the guest give the disk's free blocks back to the host, when what is being removed there is gone; of a VM that does not
 * run, when its agent answers the next time. */
void jobs_trim(struct jobs *j, const char *vm);

/* How many jobs the VM runs at once: 0 for as many as it has CPUs. Kept over the daemon's end. */
#define JOBS_LIMIT_MAX 1000u
int jobs_get_limit(const struct jobs *j, const char *vm, uint64_t *ret, struct error *err);
int jobs_set_limit(struct jobs *j, const char *vm, uint64_t limit, struct error *err);

/* The bytes that its files take. Blocks a little. */
uint64_t jobs_size(const struct jobs *j, const struct job *job);

/*
 * Watching: fn is called with an event (owned, type JobEvent of the interface) of one job, or of all when `job` is NULL; first
 * with the state as it is of this one, or of those that have not ended.  When that one job has ended, or is removed, `last` is
 * true, and the watch is gone.
 */
struct job_watch;
typedef void (*job_watch_fn)(void *userdata, struct json_object *owned_event, bool last);
struct job_watch *jobs_watch(struct jobs *j, struct job *job, job_watch_fn fn, void *userdata); /* NULL: fn had the last one */
void job_watch_free(struct job_watch *w);
