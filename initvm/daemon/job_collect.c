/* SPDX-License-Identifier: MIT */
/* What comes after the command has ended: what its result means, and its artifacts, verified, on the host. */
#include "base/log.h"
#include "daemon/job_run_private.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

/* Artifacts whose checksums differ are fetched anew. */
#define FETCHES_MAX 3u

/* ---- what the result means */

bool job_collect_wanted(const struct job_run *run)
{
        return run->spec.dsc || run->spec.folder || (run->spec.artifacts && json_object_array_length(run->spec.artifacts) > 0);
}

/* What the result means, and what comes of it when nothing else goes wrong. */
void job_collect_judge(struct job_run *run)
{
        unsigned status;

        job_state_of_result(run->job->record.result, &run->outcome, &status);
        run->status = status;
        free(run->message);
        run->message = xstrdup(json_get_string(run->job->record.result, "message", ""));
        if (run->job->record.cancel && run->outcome != JOB_SUCCEEDED) {
                run->outcome = JOB_CANCELLED;
                run->status = JOB_STATUS_CANCELLED;
        }
}

void job_collect_end(struct job_run *run)
{
        job_run_end(run, run->outcome, run->status, run->message && *run->message ? run->message : NULL);
}

/* ---- ARTIFACTS, TIMES, SEAL, REMOVE */

void job_collect_artifacts(struct job_run *run)
{
        struct job_exec_options options = {.input_fd = -1, .output_fd = -1};
        struct error err = ERROR_INIT;

        job_collect_judge(run);
        if (!job_collect_wanted(run) || run->job->record.cancel) {
                job_run_go(run, STEP_TIMES);
                return;
        }
        json_object_put(run->artifacts);
        run->artifacts = json_object_new_array();
        options.output_fd = job_run_open(run, JOB_ARTIFACTS_PART, O_WRONLY | O_CREAT | O_TRUNC, &err);
        if (options.output_fd < 0)
                job_run_fail(run, &err);
        else
                job_run_command(run, "artifacts", run->outcome == JOB_SUCCEEDED ? NULL : "--allow-empty", &options);
}

/* A pattern that matches nothing is a failure of the job; what cannot be fetched is one of ours. */
void job_collect_fetched(struct job_run *run, const struct error *err)
{
        if (err) {
                json_object_put(take_ptr(run->artifacts));
                if (run->outcome == JOB_SUCCEEDED) {
                        run->outcome = JOB_FAILED;
                        run->status = err->code == ERR_NOT_FOUND || err->code == ERR_INVALID ? 1 : JOB_STATUS_MACHINE;
                        free(run->message);
                        run->message = xasprintf("the command succeeded, but its artifacts cannot be fetched: %s", err->message);
                } else {
                        log_info("job %llu: no artifacts: %s", (unsigned long long)run->job->record.id, err->message);
                }
        }
        job_run_go(run, STEP_TIMES);
}

void job_collect_times(struct job_run *run)
{
        struct job_exec_options options = {.input_fd = -1};
        struct error err = ERROR_INIT;

        options.output_fd = job_run_open(run, "log.times.part", O_WRONLY | O_CREAT | O_TRUNC, &err);
        if (options.output_fd < 0)
                job_run_fail(run, &err);
        else
                job_run_command(run, "times", NULL, &options);
}

/* Without the guest's times there are those at which the log came here. */
void job_collect_timed(struct job_run *run, const struct error *err)
{
        autofree char *part = xasprintf("%s/log.times.part", run->job->folder),
                      *whole = xasprintf("%s/log.times", run->job->folder);

        if (err)
                unlink(part);
        else if (rename(part, whole) < 0)
                log_warning("cannot rename '%s'", part);
        job_run_go(run, STEP_SEAL);
}

/* All is on the disk here: nothing more is needed of the guest, whoever ends from now on. */
static void keep_outcome(struct job_run *run)
{
        struct job_record *r = &run->job->record;
        struct error err = ERROR_INIT;

        r->outcome = run->outcome;
        r->status = run->status;
        free(r->message);
        r->message = run->message && *run->message ? xstrdup(run->message) : NULL;
        if (job_save(run->job, &err) < 0)
                job_run_fail(run, &err);
        else
                job_run_go(run, STEP_REMOVE);
}

bool job_collect_known(struct job_run *run)
{
        const struct job_record *r = &run->job->record;

        if (r->outcome == JOB_QUEUED)
                return false;
        run->outcome = r->outcome;
        run->status = r->status;
        free(run->message);
        run->message = r->message ? xstrdup(r->message) : NULL;
        return true;
}

static void run_seal(void *userdata)
{
        struct pending *p = userdata;

        job_files_seal(&p->seal);
}

static void seal_free(void *userdata)
{
        struct pending *p = userdata;

        free(p->seal.folder);
        json_object_put(p->seal.artifacts);
        free(p);
}

static void on_sealed(void *userdata)
{
        struct pending *p = userdata;
        struct job_run *run = p->run;

        if (run) {
                struct job_record *r = &run->job->record;

                run->pending = NULL;
                if (!p->seal.failed && run->artifacts) {
                        json_object_put(r->artifacts);
                        r->artifacts = json_object_get(run->artifacts);
                }
                if (!p->seal.failed)
                        keep_outcome(run);
                else if (p->seal.err.code == ERR_PROTOCOL && ++run->fetches < FETCHES_MAX)
                        job_run_go(run, STEP_ARTIFACTS);
                else
                        job_run_fail(run, &p->seal.err);
        }
        seal_free(p);
}

void job_collect_seal(struct job_run *run)
{
        struct pending *p = job_run_pending(run);

        p->seal.folder = xstrdup(run->job->folder);
        /* json-c's counters are not for threads: the worker has objects of its own. */
        if (run->artifacts && json_object_deep_copy(run->artifacts, &p->seal.artifacts, NULL) < 0)
                abort();
        worker_run_or(run->jobs->worker, run_seal, on_sealed, seal_free, p);
}

/* After a failure the workspace stays, for who wants to look. */
void job_collect_remove(struct job_run *run)
{
        struct job_record *r = &run->job->record;

        r->workspace_kept = run->spec.keep || (run->outcome != JOB_SUCCEEDED && run->outcome != JOB_CANCELLED);
        if (!r->workspace || r->workspace_kept)
                job_collect_end(run);
        else
                job_run_simple(run, "remove", NULL);
}

void job_collect_removed(struct job_run *run, const struct error *err)
{
        if (err)
                log_warning("job %llu: its workspace is left for later: %s", (unsigned long long)run->job->record.id,
                            err->message);
        else
                run->job->record.workspace = false;
        job_collect_end(run);
}
