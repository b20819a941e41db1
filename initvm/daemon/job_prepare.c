/* SPDX-License-Identifier: MIT */
/* What comes before a job begins: the chroot that it wants is made when it is not there, and its inputs are sent. */
#include "base/log.h"
#include "daemon/job_run_private.h"

#include <fcntl.h>
#include <stdlib.h>

/* ---- CHROOT, MAKE */

/* Somebody else makes the same one: its end wakes us. */
static bool made_by_another(struct job_run *run)
{
        for (size_t i = 0; i < run->jobs->n; i++) {
                struct job_run *other = run->jobs->all[i]->run;
                if (other && other != run && other->step == STEP_MAKE && streq(other->chroot, run->chroot) &&
                    streq(other->job->record.vm, run->job->record.vm))
                        return true;
        }
        return false;
}

void job_prepare_wake(struct jobs *j)
{
        for (size_t i = 0; i < j->n; i++) {
                struct job_run *run = j->all[i]->run;
                if (run && run->parked) {
                        run->parked = false;
                        job_run_go(run, STEP_CHROOT);
                }
        }
}

/* The chroot's name: the spec's, or one that says what it is, with what the VM has for what was not said. */
static int name_chroot(struct job_run *run, struct error *err)
{
        struct job_machine machine;
        const struct job_spec *s = &run->spec;

        if (s->chroot)
                run->chroot = xstrdup(s->chroot);
        if (s->chroot || (!s->architecture && !s->suite && !s->dsc && !s->folder))
                return 0;
        if (run->jobs->machines.find(run->jobs->machines.userdata, run->job->record.vm, &machine, err) < 0)
                return -1;
        run->suite = xstrdup(s->suite ? s->suite : machine.suite);
        run->architecture = xstrdup(s->architecture ? s->architecture : machine.architecture);
        run->chroot = xasprintf("%s-%s", run->suite, run->architecture);
        return 0;
}

void job_prepare_chroot(struct job_run *run)
{
        struct error err = ERROR_INIT;

        if (!run->chroot && name_chroot(run, &err) < 0) {
                job_run_fail(run, &err);
                return;
        }
        if (!run->chroot || run->spec.chroot) { /* one that was named is the user's: `create` says when it is not there */
                job_run_go(run, STEP_CREATE);
                return;
        }
        run->parked = made_by_another(run);
        if (run->parked)
                return;
        run->look = run->jobs->made;
        buf_consume(&run->answer, buf_size(&run->answer));
        char *argv[] = {(char *)"--chroot", (char *)"show", (char *)"--", run->chroot, NULL};
        const struct job_exec_options options = {.argv = argv, .input_fd = -1, .output_fd = -1, .idle_ms = HELPER_IDLE_MS};
        run->exec = job_exec_start(run->jobs->loop, job_run_channel(run), &options, &job_run_events, run, &err);
        if (!run->exec)
                job_run_done(run, &err);
}

void job_prepare_looked(struct job_run *run, const struct error *err)
{
        if (!err)
                job_run_go(run, STEP_CREATE);
        else if (err->code != ERR_NOT_FOUND)
                job_run_fail(run, err);
        else if (made_by_another(run))
                run->parked = true;
        else if (run->error.code) /* we have tried to make it */
                job_run_fail(run, &run->error);
        else if (run->look != run->jobs->made)
                job_run_go(run, STEP_CHROOT);
        else
                job_run_go(run, STEP_MAKE);
}

static void on_made(void *userdata, const struct error *err)
{
        struct job_run *run = userdata;

        run->making = NULL;
        job_run_done(run, err);
}

void job_prepare_make(struct job_run *run)
{
        static const struct chroot_child_events events = {.progress = job_run_progress, .done = on_made};
        const struct chroot_child_options options = {
                .program = run->jobs->machines.client,
                .vm = run->job->record.vm,
                .name = run->chroot,
                .architecture = run->architecture,
                .suite = run->suite,
        };
        struct error err = ERROR_INIT;

        log_info("job %llu: makes the chroot '%s'", (unsigned long long)run->job->record.id, run->chroot);
        run->making = chroot_child_start(run->jobs->loop, &options, &events, run, &err);
        if (!run->making)
                job_run_done(run, &err);
}

/* Where that has failed, somebody else may have made it meanwhile. */
void job_prepare_made(struct job_run *run, const struct error *err)
{
        struct jobs *j = run->jobs;

        j->made++;
        if (err) {
                run->error = *err;
                error_prefix(&run->error, "the chroot '%s' could not be made", run->chroot);
        }
        job_run_go(run, err ? STEP_CHROOT : STEP_CREATE);
        job_prepare_wake(j);
}

/* ---- CREATE, START */

void job_prepare_create(struct job_run *run)
{
        struct job_record *r = &run->job->record;
        struct job_exec_options options = {.input_fd = -1, .output_fd = -1};
        struct error err = ERROR_INIT;
        autojson struct json_object *spec = NULL;
        autofree char *line = NULL;

        if (!r->workspace) { /* on the disk before there is one */
                r->workspace = true;
                if (job_save(run->job, &err) < 0) {
                        job_run_fail(run, &err);
                        return;
                }
        }
        if (r->inputs && (options.input_fd = job_run_open(run, "inputs.tar", O_RDONLY, &err)) < 0) {
                job_run_fail(run, &err);
                return;
        }
        spec = job_spec_for_guest(&run->spec, r->id, r->token, run->chroot, r->inputs);
        line = xasprintf("%s\n", json_line(spec));
        options.prefix = line;
        job_run_command(run, "create", NULL, &options);
}
