/* SPDX-License-Identifier: MIT */
/* initvm job cancel, fetch, shell, retry, remove, prune, limit. */
#include "cli/daemon.h"
#include "cli/guest_helper.h"
#include "cli/job.h"
#include "cli/job_fetch.h"
#include "cli/remote_command.h"

#include <json-c/json.h>
#include <stdio.h>
#include <unistd.h>

/* How long the VM may take to end a command; the daemon goes on with it afterwards. */
#define CANCEL_DEADLINE_MS (5 * 60 * 1000u)

static int run_cancel(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *job = NULL;

        if (job_call(inv, "org.initvm.CancelJob", CANCEL_DEADLINE_MS, &job, err) < 0)
                return -1;
        if (inv->json)
                job_print_json(job);
        else
                printf("job %s %s\n", inv->operands[0],
                       streq(json_get_string(job, "state", ""), "cancelled") ? "is cancelled"
                                                                             : "had ended before it was cancelled");
        return 0;
}

static int run_fetch(const struct invocation *inv, struct error *err)
{
        const char *given = arguments_text(&inv->arguments, "output", NULL);
        autofree char *usual = given ? NULL : job_output_default();
        const char *output = given ? given : usual;
        autojson struct json_object *job = NULL, *o = NULL;

        if (job_call(inv, "org.initvm.JobStatus", CALL_DEADLINE_MS, &job, err) < 0)
                return -1;
        if (!job_ended(job))
                return error_set(err, ERR_STATE, "job %s has not ended yet; 'initvm job wait %s' waits for it", inv->operands[0],
                                 inv->operands[0]);
        if (job_fetch(job, output, err) < 0)
                return -1;
        if (!inv->json) {
                printf("the artifacts of job %s are in '%s'\n", inv->operands[0], output);
                return 0;
        }
        o = json_new();
        json_add_string(o, "output", output);
        json_add(o, "artifacts", json_object_get(json_get(job, "artifacts")));
        printf("%s\n", json_line(o));
        return 0;
}

/* A command, or a login shell, where the job's command ran: in its workspace, and in its chroot if it had one. */
static int run_shell(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *job = NULL;
        struct remote_command remote = {.terminal = isatty(STDIN_FILENO), .wrapped = true};
        struct invocation on_vm = *inv;
        autostrv char **argv = NULL;

        if (job_call(inv, "org.initvm.JobStatus", CALL_DEADLINE_MS, &job, err) < 0)
                return -1;
        if (!json_get_bool(job, "workspace", false))
                return error_set(err, ERR_STATE, "job %s has no workspace in the VM any more; 'initvm submit --keep' keeps it",
                                 inv->operands[0]);
        strv_add(&argv, AGENT_PROGRAM);
        strv_add(&argv, "--job");
        strv_add(&argv, "run");
        strv_add(&argv, inv->operands[0]);
        strv_add(&argv, json_get_string(job, "token", ""));
        if (remote.terminal)
                strv_add(&argv, "--terminal");
        strv_add(&argv, "--");
        for (char *const *word = inv->behind; *word; word++)
                strv_add(&argv, *word);
        remote.argv = argv;
        on_vm.name = json_get_string(job, "vm", "");
        return remote_command_run(&on_vm, &remote, err);
}

static int run_retry(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *job = NULL;

        if (job_call(inv, "org.initvm.RetryJob", CALL_DEADLINE_MS, &job, err) < 0)
                return -1;
        if (inv->json)
                job_print_json(job);
        else
                printf("job %s is tried again as job %llu; follow it: initvm job logs -f %llu\n", inv->operands[0],
                       (unsigned long long)json_get_u64(job, "id", 0), (unsigned long long)json_get_u64(job, "id", 0));
        return 0;
}

static int run_remove(const struct invocation *inv, struct error *err)
{
        if (job_call(inv, "org.initvm.RemoveJob", CALL_DEADLINE_MS, NULL, err) < 0)
                return -1;
        if (inv->json)
                printf("{\"removed\":[%s]}\n", inv->operands[0]);
        else
                printf("job %s is removed\n", inv->operands[0]);
        return 0;
}

#define DAY_MS (24ull * 3600 * 1000)

static int run_prune(const struct invocation *inv, struct error *err)
{
        const struct arguments *a = &inv->arguments;
        uint64_t days = arguments_number(a, "older-than", 0), size = arguments_number(a, "keep-size", 0);
        struct json_object *parameters = json_new();
        autojson struct json_object *reply = NULL;
        bool dry = arguments_flag(a, "dry-run");
        size_t n;

        json_add_string(parameters, "name", arguments_text(a, "vm", arguments_text(a, "name", NULL)));
        if (arguments_flag(a, "all"))
                json_add_u64(parameters, "olderThan", 0);
        else if (days > 0)
                json_add_u64(parameters, "olderThan", days * DAY_MS);
        if (size > 0)
                json_add_u64(parameters, "keepSize", size);
        if (dry)
                json_add_bool(parameters, "dryRun", true);
        if (!arguments_flag(a, "all") && days == 0 && size == 0) {
                json_object_put(parameters);
                return error_set(err, ERR_INVALID, "say which jobs are to go: --older-than DAYS, --keep-size SIZE, or --all");
        }
        if (daemon_call("org.initvm.PruneJobs", parameters, &reply, err) < 0)
                return -1;
        if (inv->json) {
                printf("%s\n", json_line(reply));
                return 0;
        }
        n = json_object_array_length(json_get(reply, "removed"));
        printf("%zu job%s, %s%s\n", n, n == 1 ? "" : "s", format_size(json_get_u64(reply, "size", 0)),
               dry ? ", would be removed" : " removed");
        return 0;
}

static int run_limit(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *reply = NULL;
        struct json_object *parameters;
        uint64_t limit = 0;

        if (inv->operands[0] && !streq(inv->operands[0], "cpus") && parse_u64(inv->operands[0], 1, UINT32_MAX, &limit) < 0)
                return error_set(err, ERR_INVALID, "'%s' is neither a number of jobs nor 'cpus'", inv->operands[0]);
        parameters = json_new();
        json_add_string(parameters, "name", inv->name);
        if (inv->operands[0])
                json_add_u64(parameters, "limit", limit);
        if (daemon_call("org.initvm.LimitJobs", parameters, &reply, err) < 0)
                return -1;
        limit = json_get_u64(reply, "limit", 0);
        if (inv->json)
                printf("%s\n", json_line(reply));
        else if (limit > 0)
                printf("'%s' runs %llu jobs at once\n", inv->name, (unsigned long long)limit);
        else
                printf("'%s' runs as many jobs at once as it has CPUs\n", inv->name);
        return 0;
}

static const struct option_spec json_option[] = {OPTION_JSON_HELP, {0}};

static const struct option_spec fetch_options[] = {
        {.name = "output",
         .letter = 'o',
         .type = OPTION_FILE,
         .argument = "FOLDER",
         .help = "where to (default: ./initvm-build-YYYYmmdd-HHMMSS)"},
        OPTION_JSON_HELP,
        {0},
};

static const struct option_spec prune_options[] = {
        {.name = "older-than", .type = OPTION_NUMBER, .argument = "DAYS", .help = "those that ended more than so many days ago"},
        {.name = "keep-size",
         .type = OPTION_SIZE,
         .argument = "SIZE",
         .help = "the oldest ones, until the rest takes at most SIZE"},
        {.name = "all", .type = OPTION_FLAG, .help = "all that have ended"},
        {.name = "vm", .type = OPTION_VM, .argument = "NAME", .help = "only those of this VM"},
        {.name = "dry-run", .type = OPTION_FLAG, .help = "only tell which"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_job_cancel = {
        .name = "cancel",
        .parent = &command_job,
        .summary = "end a job",
        .operands = "JOB",
        .min_operands = 1,
        .max_operands = 1,
        .options = json_option,
        .description = "One that waits is taken out of the queue. The command of one that runs gets SIGTERM, and after a while "
                       "SIGKILL. Returns when it has ended.",
        .run = run_cancel,
};

const struct command command_job_fetch = {
        .name = "fetch",
        .parent = &command_job,
        .summary = "copy a job's artifacts into a folder",
        .operands = "JOB",
        .min_operands = 1,
        .max_operands = 1,
        .options = fetch_options,
        .description =
                "They were verified by their checksums when they came to the host. Each file appears under its name when it is "
                "whole. May be done again, as long as the job is not removed.",
        .run = run_fetch,
};

const struct command command_job_shell = {
        .name = "shell",
        .parent = &command_job,
        .flags = COMMAND_BEHIND | COMMAND_EXEC_STATUS,
        .summary = "look into the workspace that a failed job has left",
        .operands = "JOB [-- COMMAND [ARGUMENT...]]",
        .min_operands = 1,
        .max_operands = 1,
        .description = "A login shell, or a command, in the VM: in the job's workspace, in its chroot if it had one, and on this "
                       "terminal.",
        .run = run_shell,
};

const struct command command_job_retry = {
        .name = "retry",
        .parent = &command_job,
        .summary = "run a job again, as a new one",
        .operands = "JOB",
        .min_operands = 1,
        .max_operands = 1,
        .options = json_option,
        .description = "With the same inputs, which are kept as long as a job has not succeeded.",
        .run = run_retry,
};

const struct command command_job_remove = {
        .name = "remove",
        .alias = "rm",
        .parent = &command_job,
        .summary = "remove a job that has ended, with all that it left",
        .operands = "JOB",
        .min_operands = 1,
        .max_operands = 1,
        .options = json_option,
        .description = "A workspace in a VM that does not run goes when that runs the next job.",
        .run = run_remove,
};

const struct command command_job_prune = {
        .name = "prune",
        .parent = &command_job,
        .summary = "remove old jobs",
        .options = prune_options,
        .examples = "initvm job prune --older-than 14 --keep-size 20G",
        .run = run_prune,
};

const struct command command_job_limit = {
        .name = "limit",
        .parent = &command_job,
        .flags = COMMAND_VM,
        .summary = "how many jobs a VM runs at once",
        .operands = "[N|cpus]",
        .max_operands = 1,
        .options = json_option,
        .description =
                "Without an operand it is only told. 'cpus', which holds until something else was said, is as many as the VM has "
                "CPUs.",
        .run = run_limit,
};
