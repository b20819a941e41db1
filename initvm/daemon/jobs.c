/* SPDX-License-Identifier: MIT */
#include "daemon/jobs.h"

#include "base/file.h"
#include "base/log.h"
#include "base/new_folder.h"
#include "daemon/job_private.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the table of all */

static struct job *job_new(struct jobs *j, const struct job_record *owned)
{
        struct job *job = xcalloc(1, sizeof(*job));

        job->jobs = j;
        job->record = *owned;
        job->folder = job_store_path(&j->store, owned->id, NULL);
        j->all = xrealloc(j->all, j->n + 1, sizeof(struct job *));
        j->all[j->n++] = job;
        j->n_open += !job_state_final(owned->state);
        return job;
}

static void job_free(struct job *job)
{
        job_run_free(job->run);
        json_object_put(job->heartbeat);
        job_record_done(&job->record);
        free(job->stage);
        free(job->folder);
        free(job);
}

static void bury(void *userdata)
{
        job_free(userdata);
}

/* Whoever is told of an event may remove the job while others still work on it: its memory goes later. */
void job_drop(struct job *job)
{
        struct jobs *j = job->jobs;

        for (size_t i = 0; i < j->n; i++)
                if (j->all[i] == job) {
                        memmove(j->all + i, j->all + i + 1, (j->n - i - 1) * sizeof(struct job *));
                        j->n--;
                        break;
                }
        loop_post(j->loop, bury, job);
}

/* Where the job with this number, or the next higher one, is. */
static size_t position(const struct jobs *j, uint64_t id)
{
        size_t low = 0, high = j->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (j->all[middle]->record.id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct job *jobs_find(struct jobs *j, uint64_t id, struct error *err)
{
        size_t at = position(j, id);

        if (at < j->n && j->all[at]->record.id == id)
                return j->all[at];
        error_set(err, ERR_NOT_FOUND, "there is no job %llu; 'initvm job list' shows those that there are",
                  (unsigned long long)id);
        return NULL;
}

struct job *jobs_next(struct jobs *j, uint64_t after)
{
        size_t at = after == UINT64_MAX ? j->n : position(j, after + 1);

        return at < j->n ? j->all[at] : NULL;
}

const struct job_record *job_get_record(const struct job *job)
{
        return &job->record;
}

struct json_object *job_describe(const struct job *job, bool whole)
{
        struct json_object *o = job_record_describe(&job->record, job->folder, whole);

        json_add_string(o, "stage", job->stage);
        if (job->record.state == JOB_RUNNING)
                json_add(o, "heartbeat", json_object_get(job->heartbeat));
        return o;
}

uint64_t jobs_size(const struct jobs *j, const struct job *job)
{
        (void)j;
        return tree_size(job->folder);
}

/* ---- states */

int job_save(struct job *job, struct error *err)
{
        if (job_record_save(&job->record, job->folder, err) < 0)
                return error_prefix(err, "job %llu", (unsigned long long)job->record.id);
        return 0;
}

static void set_times(struct job_record *r, enum job_state to)
{
        if (to == JOB_PREPARING && r->prepared == 0)
                r->prepared = job_time();
        if (to == JOB_RUNNING)
                r->started = job_time();
        if (to == JOB_COLLECTING)
                r->finished = job_time();
        if (job_state_final(to))
                r->ended = job_time();
}

int job_move(struct job *job, enum job_state to, struct error *err)
{
        enum job_state from = job->record.state;
        struct job_record *r = &job->record;

        if (!job_state_may_follow(from, to))
                return error_set(err, ERR_STATE, "job %llu is %s and cannot become %s", (unsigned long long)r->id,
                                 job_state_text(from), job_state_text(to));
        r->state = to;
        set_times(r, to);
        if (job_save(job, err) < 0) {
                r->state = from;
                return -1;
        }
        free(take_ptr(job->stage));
        log_info("job %llu: %s%s%s", (unsigned long long)r->id, job_state_text(to), r->message ? ": " : "",
                 r->message ? r->message : "");
        job_tell(job, "state");
        return 0;
}

static void remove_inputs(struct job *job)
{
        autofree char *path = job_store_path(&job->jobs->store, job->record.id, "inputs.tar");

        if (unlink(path) < 0 && errno != ENOENT)
                log_warning("cannot remove '%s'", path);
}

static void set_message(struct job *job, const char *message)
{
        char *copy = message ? xstrdup(message) : NULL;

        free(job->record.message);
        job->record.message = copy;
}

void job_end(struct job *job, enum job_state state, uint64_t status, const char *message)
{
        struct jobs *j = job->jobs;
        struct error err = ERROR_INIT;
        bool inputs = job->record.inputs;

        if (state == JOB_LOST && !job->record.cancel && job->record.attempt <= json_get_u64(job->record.spec, "retryLost", 0)) {
                job_again(job, message);
                return;
        }
        job_run_free(take_ptr(job->run));
        set_message(job, message);
        job->record.status = status;
        job->record.inputs &= state != JOB_SUCCEEDED;
        if (state != JOB_SUCCEEDED && state != JOB_CANCELLED) /* for who wants to look inside */
                job->record.workspace_kept = job->record.workspace;
        if (job_move(job, state, &err) < 0) {
                log_error("%s", err.message);
                job->record.state = state; /* true all the same */
                job->record.ended = job_time();
                job_tell(job, "state");
        }
        if (inputs && !job->record.inputs)
                remove_inputs(job);
        j->n_open--;
        job_compress_log(job);
        jobs_kick(j);
}

/* The line in the log that stands between two attempts. */
static void mark_attempt(struct job *job, const char *why)
{
        autofree char *path = job_store_path(&job->jobs->store, job->record.id, "log");
        autofclose FILE *log = fopen(path, "ae");

        if (!log)
                return;
        fseek(log, 0, SEEK_END);
        fprintf(log, "%sinitvm: attempt %llu was lost: %s\n", ftell(log) > 0 ? "\n" : "", (unsigned long long)job->record.attempt,
                why);
        job->record.log_base = (uint64_t)ftell(log);
}

void job_again(struct job *job, const char *why)
{
        struct job_record *r = &job->record;
        struct error err = ERROR_INIT;
        autofree char *reason = xstrdup(why);

        job_run_free(take_ptr(job->run));
        mark_attempt(job, reason);
        set_message(job, reason);
        r->attempt++;
        r->preparations = 0;
        r->prepared = r->started = r->finished = 0;
        r->outcome = JOB_QUEUED;
        json_object_put(take_ptr(r->result));
        json_object_put(take_ptr(job->heartbeat));
        job_record_new_token(r);
        if (job_move(job, JOB_QUEUED, &err) < 0) {
                log_error("%s", err.message);
                r->state = JOB_QUEUED;
        }
        jobs_kick(job->jobs);
}

/* ---- the queue */

/* A higher priority first, then who came first. */
static bool before(const struct job *a, const struct job *b)
{
        uint64_t x = json_get_u64(a->record.spec, "priority", JOB_PRIORITY_DEFAULT);
        uint64_t y = json_get_u64(b->record.spec, "priority", JOB_PRIORITY_DEFAULT);

        return x != y ? x > y : a->record.id < b->record.id;
}

static size_t running_on(const struct jobs *j, const char *vm)
{
        size_t n = 0;

        for (size_t i = 0; i < j->n; i++)
                n += j->all[i]->run && streq(j->all[i]->record.vm, vm);
        return n;
}

/* 0 for as many as it has CPUs. */
static uint64_t limit_of(const struct jobs *j, const char *vm)
{
        return json_get_u64(j->limits, vm, 0);
}

int jobs_get_limit(const struct jobs *j, const char *vm, uint64_t *ret, struct error *err)
{
        struct job_machine machine;

        if (j->machines.find(j->machines.userdata, vm, &machine, err) < 0)
                return -1;
        *ret = limit_of(j, vm);
        return 0;
}

static char *limits_path(const struct jobs *j)
{
        return xasprintf("%s/limits.json", j->store.folder);
}

int jobs_set_limit(struct jobs *j, const char *vm, uint64_t limit, struct error *err)
{
        autofree char *path = limits_path(j), *text = NULL;
        struct job_machine machine;
        uint64_t before = limit_of(j, vm);
        int r;

        if (limit > JOBS_LIMIT_MAX)
                return error_set(err, ERR_INVALID, "a VM runs %u jobs at once at most", JOBS_LIMIT_MAX);
        if (j->machines.find(j->machines.userdata, vm, &machine, err) < 0)
                return -1;
        json_add_u64(j->limits, vm, limit);
        text = xasprintf("%s\n", json_line(j->limits));
        r = file_write_atomic(path, 0600, text, strlen(text), err);
        if (r < 0)
                json_add_u64(j->limits, vm, before);
        jobs_kick(j);
        return r;
}

static int load_limits(struct jobs *j, struct error *err)
{
        autofree char *path = limits_path(j);

        if (access(path, F_OK) < 0)
                j->limits = json_new();
        else
                j->limits = json_parse_file(path, err);
        return j->limits ? 0 : -1;
}

/* The next one of this VM, or of any whose name is not among `full`; NULL: none waits. */
static struct job *first_waiting(const struct jobs *j, char *const *full)
{
        struct job *best = NULL;

        for (size_t i = 0; i < j->n; i++) {
                struct job *job = j->all[i];
                if (job->record.state == JOB_QUEUED && !job->run && !strv_contains(full, job->record.vm) &&
                    (!best || before(job, best)))
                        best = job;
        }
        return best;
}

static uint64_t slots(const struct jobs *j, const char *vm, uint64_t cpus)
{
        uint64_t limit = limit_of(j, vm);

        return limit > 0 ? limit : MAX(cpus, 1u);
}

static void on_kick(void *userdata)
{
        struct jobs *j = userdata;
        autostrv char **full = NULL;
        struct job *job;

        while (j->n_open > 0 && (job = first_waiting(j, full))) {
                struct error err = ERROR_INIT;
                struct job_machine machine;

                if (j->machines.find(j->machines.userdata, job->record.vm, &machine, &err) < 0) {
                        if (err.code == ERR_STATE) /* still being created */
                                strv_add(&full, job->record.vm);
                        else
                                job_end(job, JOB_FAILED, JOB_STATUS_MACHINE, err.message);
                } else if (running_on(j, job->record.vm) >= slots(j, job->record.vm, machine.cpus)) {
                        strv_add(&full, job->record.vm);
                } else {
                        job_run_begin(job);
                }
        }
}

void jobs_kick(struct jobs *j)
{
        if (j && j->begun && !j->stopped)
                loop_timer_arm(j->kick, 0);
}

/* ---- from the start to the end */

static void on_loaded(void *userdata, struct job_record *record, const struct error *err)
{
        if (err)
                log_error("%s; this job is left alone", err->message);
        else
                job_new(userdata, record);
}

struct jobs *jobs_new(struct loop *loop, const char *state, const struct job_machines *machines, struct error *err)
{
        struct jobs *j = xcalloc(1, sizeof(*j));

        j->loop = loop;
        j->machines = *machines;
        j->kick = loop_add_timer(loop, on_kick, j);
        j->worker = worker_new(loop);
        if (job_store_init(&j->store, state, err) < 0 || load_limits(j, err) < 0) {
                jobs_stop(j);
                jobs_free(j);
                return NULL;
        }
        job_store_load(&j->store, on_loaded, j);
        return j;
}

void jobs_begin(struct jobs *j)
{
        j->begun = true;
        for (size_t i = 0; i < j->n; i++) {
                struct job *job = j->all[i];
                if (job_state_final(job->record.state))
                        job_compress_log(job);
                else if (job->record.state != JOB_QUEUED)
                        job_run_begin(job);
                else if (job->record.cancel)
                        job_end(job, JOB_CANCELLED, JOB_STATUS_CANCELLED, "cancelled");
        }
        jobs_kick(j);
}

void jobs_stop(struct jobs *j)
{
        if (!j || j->stopped)
                return;
        j->stopped = true;
        job_watches_done(j);
        job_chores_done(j);
        for (size_t i = 0; i < j->n; i++)
                job_run_free(take_ptr(j->all[i]->run));
        worker_free(take_ptr(j->worker));
}

void jobs_free(struct jobs *j)
{
        if (!j)
                return;
        for (size_t i = 0; i < j->n; i++)
                job_free(j->all[i]);
        free(j->all);
        loop_source_free(j->kick);
        job_store_done(&j->store);
        json_object_put(j->limits);
        free(j);
}

/* ---- what clients want */

static struct job *take_in(struct jobs *j, struct job_record *record, const char *folder, struct error *err)
{
        struct job *job;

        if (j->n_open >= JOBS_OPEN_MAX) {
                error_set(err, ERR_STATE, "%u jobs are waiting already; submit it again when some have ended", JOBS_OPEN_MAX);
                return NULL;
        }
        if (job_store_add(&j->store, folder, record, err) < 0)
                return NULL;
        job = job_new(j, record);
        job_tell(job, "state");
        jobs_kick(j);
        return job;
}

int jobs_submit(struct jobs *j, const char *vm, struct json_object *spec, const char *folder, struct job **ret, struct error *err)
{
        struct job_machine machine;
        struct job_record record;
        struct job_spec checked;
        autofree char *name = NULL;

        if (job_spec_read(spec, &checked, err) < 0)
                return error_prefix(err, "the job");
        if (j->machines.find(j->machines.userdata, vm, &machine, err) < 0)
                return -1;
        name = job_spec_name(&checked);
        job_record_init(&record, 0, vm, spec, name);
        *ret = take_in(j, &record, folder, err);
        if (!*ret)
                job_record_done(&record);
        return *ret ? 0 : -1;
}

int jobs_cancel(struct jobs *j, struct job *job, struct error *err)
{
        struct job_record *r = &job->record;

        (void)j;
        if (job_state_final(r->state))
                return error_set(err, ERR_STATE, "job %llu has ended already: %s", (unsigned long long)r->id,
                                 job_state_text(r->state));
        if (!r->cancel) {
                r->cancel = true;
                if (job_save(job, err) < 0) {
                        r->cancel = false;
                        return -1;
                }
        }
        if (job->run)
                job_run_cancel(job->run);
        else
                job_end(job, JOB_CANCELLED, JOB_STATUS_CANCELLED, "cancelled before it began");
        return 0;
}

/* The inputs get a second name, which costs nothing. */
static int link_inputs(struct jobs *j, const struct job *job, const char *folder, struct error *err)
{
        autofree char *from = job_store_path(&j->store, job->record.id, "inputs.tar");
        autofree char *to = xasprintf("%s/inputs.tar", folder);

        return link(from, to) == 0
                       ? 0
                       : error_errno(err, errno, "cannot take over the inputs of job %llu", (unsigned long long)job->record.id);
}

int jobs_retry(struct jobs *j, struct job *job, struct job **ret, struct error *err)
{
        const struct job_record *r = &job->record;
        struct job_record record;
        autofree char *folder = NULL;
        autoclose int lock = -1;
        bool had_inputs = json_object_is_type(json_get(r->spec, "inputs"), json_type_array) &&
                          json_object_array_length(json_get(r->spec, "inputs")) > 0;

        if (!job_state_final(r->state))
                return error_set(err, ERR_STATE, "job %llu has not ended yet: it is %s", (unsigned long long)r->id,
                                 job_state_text(r->state));
        if (had_inputs && !r->inputs)
                return error_set(err, ERR_STATE, "job %llu has succeeded, and its inputs are not kept: submit it anew",
                                 (unsigned long long)r->id);
        lock = new_folder_make(j->store.folder, &folder, err);
        if (lock < 0 || (r->inputs && link_inputs(j, job, folder, err) < 0))
                return -1;
        job_record_init(&record, 0, r->vm, r->spec, r->name);
        record.retry_of = r->id;
        *ret = take_in(j, &record, strrchr(folder, '/') + 1, err);
        if (!*ret)
                job_record_done(&record);
        return *ret ? 0 : -1;
}
