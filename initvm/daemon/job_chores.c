/* SPDX-License-Identifier: MIT */
/*
 * What is done for jobs on the side: logs are compressed, removed jobs' files and workspaces taken away.
 *
 * A workspace in a VM that cannot be reached is taken away when its agent answers the next time: whatever `--job list` names
 * there that no job of ours wants is removed.
 */
#include "base/log.h"
#include "daemon/job_exec.h"
#include "daemon/job_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What --job list may say: a line for each workspace. */
#define LIST_MAX (4u << 20)

/* ---- logs */

struct compressing {
        struct jobs *jobs;
        uint64_t id;
        char *folder;
        bool failed;
        struct error err;
};

static void compress_in_worker(void *userdata)
{
        struct compressing *c = userdata;

        c->failed = job_files_compress(c->folder, &c->err) < 0;
}

static void compressing_free(void *userdata)
{
        struct compressing *c = userdata;

        free(c->folder);
        free(c);
}

static void on_compressed(void *userdata)
{
        struct compressing *c = userdata;
        struct job *job = jobs_find(c->jobs, c->id, NULL);

        if (c->failed && job)
                log_warning("job %llu: its log stays as it is: %s", (unsigned long long)c->id, c->err.message);
        if (job)
                job->sealing = false;
        compressing_free(c);
}

void job_compress_log(struct job *job)
{
        autofree char *log = xasprintf("%s/log", job->folder);
        struct compressing *c;

        if (job->sealing || job->jobs->stopped || access(log, F_OK) < 0)
                return;
        job->sealing = true;
        c = xcalloc(1, sizeof(*c));
        c->jobs = job->jobs;
        c->id = job->record.id;
        c->folder = xstrdup(job->folder);
        worker_run_or(job->jobs->worker, compress_in_worker, on_compressed, compressing_free, c);
}

/* ---- workspaces of jobs that are not there any more */

struct job_sweep {
        struct jobs *jobs;
        char *vm;
        bool done; /* nothing is left there, as far as we know */
        struct job_exec *exec;
        struct buf list;
        char **gone; /* "ID TOKEN", to be removed one after the other */
        bool trim;   /* and the disk to be trimmed then */
        struct job_sweep *next;
};

static struct job_sweep *sweep_of(struct jobs *j, const char *vm)
{
        struct job_sweep *s;

        for (s = j->sweeps; s; s = s->next)
                if (streq(s->vm, vm))
                        return s;
        s = xcalloc(1, sizeof(*s));
        *s = (struct job_sweep){.jobs = j, .vm = xstrdup(vm), .next = j->sweeps};
        j->sweeps = s;
        return s;
}

static struct channel *channel_of(struct jobs *j, const char *vm)
{
        struct job_machine machine;

        return j->machines.find(j->machines.userdata, vm, &machine, NULL) == 0 ? machine.channel : NULL;
}

/* Nobody wants it: there is no such job, or it was another attempt's, or it was to be removed and could not. */
static bool unwanted(struct jobs *j, uint64_t id, const char *token, const char *vm)
{
        struct job *job = jobs_find(j, id, NULL);
        const struct job_record *r = job ? &job->record : NULL;

        if (!r || !streq(r->token, token) || !streq(r->vm, vm))
                return true;
        return job_state_final(r->state) && !r->workspace_kept && !job->run;
}

static void on_list(void *userdata, const uint8_t *data, size_t n)
{
        struct job_sweep *s = userdata;

        if (buf_size(&s->list) + n <= LIST_MAX)
                buf_append(&s->list, data, n);
}

static void remove_next(struct job_sweep *s);

static void on_trimmed(void *userdata, const struct error *err)
{
        struct job_sweep *s = userdata;

        s->exec = NULL;
        if (err)
                log_info("VM '%s': its disk is not trimmed: %s", s->vm, err->message);
        else
                remove_next(s); /* what has come meanwhile */
}

static void trim(struct job_sweep *s)
{
        static const struct job_exec_events events = {.done = on_trimmed};
        char *argv[] = {(char *)"--job", (char *)"trim", NULL};
        const struct job_exec_options options = {.argv = argv, .input_fd = -1, .output_fd = -1, .idle_ms = HELPER_IDLE_MS};

        s->exec = job_exec_start(s->jobs->loop, channel_of(s->jobs, s->vm), &options, &events, s, NULL);
        s->trim = !s->exec; /* it does not answer: when it does */
}

void jobs_trim(struct jobs *j, const char *vm)
{
        struct job_sweep *s = sweep_of(j, vm);

        s->trim = true;
        if (!s->exec)
                remove_next(s);
}

static void on_removed_one(void *userdata, const struct error *err)
{
        struct job_sweep *s = userdata;

        s->exec = NULL;
        if (err) {
                log_info("VM '%s': workspaces are left for later: %s", s->vm, err->message);
                s->done = false;
                strv_free(take_ptr(s->gone));
                return;
        }
        remove_next(s);
}

static void remove_next(struct job_sweep *s)
{
        static const struct job_exec_events events = {.done = on_removed_one};
        size_t n = strv_length(s->gone);
        struct error err = ERROR_INIT;

        if (n == 0 && s->trim)
                trim(s);
        if (n == 0)
                return;
        autofree char *last = s->gone[n - 1];
        s->gone[n - 1] = NULL;
        char *token = strchr(last, ' ');
        *token++ = '\0';
        char *argv[] = {(char *)"--job", (char *)"remove", last, token, NULL};
        const struct job_exec_options options = {.argv = argv, .input_fd = -1, .output_fd = -1, .idle_ms = HELPER_IDLE_MS};
        log_info("VM '%s': removes the workspace of job %s, which is not there any more", s->vm, last);
        s->exec = job_exec_start(s->jobs->loop, channel_of(s->jobs, s->vm), &options, &events, s, &err);
        if (!s->exec)
                on_removed_one(s, &err);
}

static void on_listed(void *userdata, const struct error *err)
{
        struct job_sweep *s = userdata;
        autofree char *text = buf_take_string(&s->list);
        autostrv char **lines = strv_split(text, "\n");

        s->exec = NULL;
        s->done = !err;
        for (char **line = lines; !err && *line; line++) {
                autojson struct json_object *o = json_parse(*line, strlen(*line), NULL);
                uint64_t id = o ? json_get_u64(o, "id", 0) : 0;
                const char *token = o ? json_get_string(o, "token", NULL) : NULL;
                if (id > 0 && token && !strchr(token, ' ') && unwanted(s->jobs, id, token, s->vm))
                        strv_addf(&s->gone, "%llu %s", (unsigned long long)id, token);
        }
        remove_next(s);
}

void job_chores_ready(struct jobs *j, const char *vm)
{
        static const struct job_exec_events events = {.output = on_list, .done = on_listed};
        char *argv[] = {(char *)"--job", (char *)"list", NULL};
        const struct job_exec_options options = {.argv = argv, .input_fd = -1, .output_fd = -1, .idle_ms = HELPER_IDLE_MS};
        struct job_sweep *s = sweep_of(j, vm);
        struct error err = ERROR_INIT;

        if (s->exec)
                return;
        if (s->done)
                remove_next(s);
        else
                s->exec = job_exec_start(j->loop, channel_of(j, vm), &options, &events, s, &err);
}

void job_chores_lost(struct jobs *j, const char *vm)
{
        sweep_of(j, vm)->done = false;
}

void job_chores_done(struct jobs *j)
{
        while (j->sweeps) {
                struct job_sweep *s = j->sweeps;
                j->sweeps = s->next;
                job_exec_cancel(s->exec);
                buf_done(&s->list);
                strv_free(s->gone);
                free(s->vm);
                free(s);
        }
}

/* ---- removing a job */

struct sweeping {
        struct jobs *jobs;
        uint64_t id;
};

static void sweep_in_worker(void *userdata)
{
        struct sweeping *s = userdata;

        job_store_sweep(&s->jobs->store, s->id);
}

int jobs_remove(struct jobs *j, struct job *job, struct error *err)
{
        const struct job_record *r = &job->record;
        struct sweeping *s;
        struct job_sweep *guest = NULL;

        if (!job_state_final(r->state))
                return error_set(err, ERR_STATE, "job %llu is %s; 'initvm job cancel %llu' ends it", (unsigned long long)r->id,
                                 job_state_text(r->state), (unsigned long long)r->id);
        if (job_store_remove(&j->store, r->id, err) < 0)
                return -1;
        s = xcalloc(1, sizeof(*s));
        *s = (struct sweeping){.jobs = j, .id = r->id};
        if (r->workspace) {
                guest = sweep_of(j, r->vm);
                strv_addf(&guest->gone, "%llu %s", (unsigned long long)r->id, r->token);
        }
        worker_run_or(j->worker, sweep_in_worker, free, free, s);
        job_tell_removed(job);
        job_drop(job);
        if (guest && !guest->exec)
                remove_next(guest);
        return 0;
}
