/* SPDX-License-Identifier: MIT */
/* initvm submit: hands a build job over to the queue, follows it, fetches its artifacts, and exits with its status. */
#include "cli/daemon.h"
#include "cli/job.h"
#include "cli/job_fetch.h"
#include "cli/job_follow.h"
#include "cli/submit_inputs.h"
#include "cli/submit_spec.h"
#include "cli/vm.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How often a job is handed over again to a daemon that has ended before it took it in. */
#define TRIES 3

static int ask_job(uint64_t id, struct json_object **ret, struct error *err)
{
        autojson struct json_object *parameters = json_new(), *reply = NULL;

        json_add_u64(parameters, "id", id);
        if (daemon_call("org.initvm.JobStatus", take_ptr(parameters), &reply, err) < 0)
                return -1;
        *ret = json_object_get(json_get(reply, "job"));
        return *ret ? 0 : error_set(err, ERR_PROTOCOL, "the daemon's answer says nothing of the job");
}

/* One try. The daemon may end before it has answered: then the folder tells whether it had accepted the job. */
static int hand_over(const struct submission *s, const struct new_job *n, struct json_object **ret, struct error *err)
{
        struct json_object *parameters = json_new();
        autojson struct json_object *reply = NULL;
        autoclient struct client *c = NULL;
        autoclose int process = -1;
        unsigned long long id;

        json_add_string(parameters, "name", s->vm);
        json_add(parameters, "spec", json_object_get(s->spec));
        json_add_string(parameters, "folder", strrchr(n->path, '/') + 1);
        if (daemon_connect(&c, err) < 0) {
                json_object_put(parameters);
                return -1;
        }
        process = client_peer_process(c);
        if (client_call(c, "org.initvm.SubmitJob", parameters, 0, CALL_DEADLINE_MS, &reply, err) == 0) {
                *ret = json_object_get(json_get(reply, "job"));
                return *ret ? 0 : error_set(err, ERR_PROTOCOL, "the daemon's answer says nothing of the job");
        }
        if (err->code == ERR_DISCONNECTED)
                daemon_await_end(process);
        id = err->code == ERR_DISCONNECTED ? new_job_number(n) : 0;
        return id > 0 ? ask_job(id, ret, err) : -1;
}

static int submit(const struct submission *s, struct json_object **ret, struct error *err)
{
        struct new_job n = NEW_JOB_INIT;
        autojson struct json_object *status = NULL;
        int r = -1;

        /* The daemon says where its state is, and is there from now on. */
        if (daemon_call("org.initvm.GetStatus", NULL, &status, err) == 0 &&
            new_job_make(&n, json_get_string(status, "home", ""), s->inputs, err) == 0) {
                for (int i = 0; i < TRIES && (r = hand_over(s, &n, ret, err)) < 0 && err->code == ERR_DISCONNECTED; i++)
                        ;
        }
        new_job_done(&n);
        return r;
}

/* The folder for the artifacts; NULL: there are to be none. Owned. */
static char *output_folder(const struct submission *s)
{
        struct json_object *artifacts = json_get(s->spec, "artifacts");
        const char *output = json_get_string(s->spec, "output", NULL);

        if (!json_get(s->spec, "package") && (!artifacts || json_object_array_length(artifacts) == 0))
                return NULL;
        return output ? xstrdup(output) : job_output_default();
}

static int follow(const struct invocation *inv, struct json_object *job, const char *output, struct error *err)
{
        autojson struct json_object *ended = NULL;
        const struct job_follow f = {
                .id = json_get_u64(job, "id", 0), .folder = json_get_string(job, "folder", ""), .json = inv->json, .ours = true};
        struct json_object *artifacts;
        bool fetched = false;
        int r;

        r = job_follow(&f, &ended, err);
        if (r != 0)
                return r;
        artifacts = json_get(ended, "artifacts");
        if (output && artifacts && json_object_array_length(artifacts) > 0) {
                if (job_fetch(ended, output, err) < 0)
                        return error_prefix(
                                err,
                                "job %llu has ended, but its artifacts cannot be unpacked; 'initvm job fetch %llu' does "
                                "it again",
                                (unsigned long long)f.id, (unsigned long long)f.id);
                fetched = true;
        }
        if (!inv->json)
                job_tell_end(ended, fetched ? output : NULL);
        return job_exit_status(ended);
}

static int run_submission(const struct invocation *inv, const struct submission *s, struct error *err)
{
        autofree char *output = output_folder(s);
        autojson struct json_object *job = NULL;

        if (output && job_output_check(output, err) < 0)
                return -1;
        if (submit(s, &job, err) < 0)
                return -1;
        if (arguments_flag(&inv->arguments, "detach")) {
                if (inv->json)
                        job_print_json(job);
                else
                        printf("%llu\n", (unsigned long long)json_get_u64(job, "id", 0));
                return 0;
        }
        if (!inv->json)
                fprintf(stderr, "initvm: job %llu is queued for VM '%s'\n", (unsigned long long)json_get_u64(job, "id", 0),
                        s->vm);
        return follow(inv, job, output, err);
}

static int run(const struct invocation *inv, struct error *err)
{
        struct submission s;
        int r = submission_init(&s, inv, err);

        if (r == 0)
                r = run_submission(inv, &s, err);
        submission_done(&s);
        return r;
}

const struct command command_submit = {
        .name = "submit",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_BEHIND | COMMAND_EXEC_STATUS | COMMAND_FILES,
        .summary = "build something: queue a job, follow it, fetch its results",
        .operands = "JOB.json|PACKAGE.dsc|FOLDER|-- COMMAND...",
        .max_operands = 1,
        .options = submit_options,
        .description =
                "A job is a command that runs in a workspace of its own, in the VM or in a chroot in it, with inputs that are "
                "copied "
                "there and artifacts that are fetched. PACKAGE.dsc, or a folder with debian/, is built as a Debian package. "
                "JOB.json "
                "describes any job; see initvm-job(5).\n"
                "The VM is started when it does not run. The output is shown as it comes, and the exit status is the command's "
                "own; "
                "128+N: signal N ended it, 127: no such command, 126: cannot be executed, 125: initvm, the chroot or the VM "
                "failed, 124: "
                "a limit of time passed, 130: cancelled, 137: not enough memory, 1: an artifact is missing.\n"
                "Ctrl-C on a terminal detaches, and the job goes on; SIGTERM cancels it. After a failure its workspace is kept.",
        .examples = "initvm submit -- uname -a\n"
                    "initvm submit -i src -A 'src/*.deb' -s trixie -- make -C src deb\n"
                    "initvm submit hello_2.10-3.dsc --arch armhf --output out\n"
                    "initvm submit --detach job.json",
        .run = run,
};
