/* SPDX-License-Identifier: MIT */
/* initvm job logs, wait, watch. */
#include "cli/daemon.h"
#include "cli/job.h"
#include "cli/job_follow.h"
#include "cli/job_log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* How often a daemon may end while somebody waits for a job. */
#define WAIT_TRIES 5u

/* The offset at which what was written in the last `ms` begins. */
static int offset_since(struct json_object *job, uint64_t ms, uint64_t *ret, struct error *err)
{
        uint64_t now = (uint64_t)time(NULL) * 1000;
        struct job_times times;

        if (job_times_read(&times, json_get_string(job, "folder", ""), json_get_u64(job, "logBase", 0), err) < 0)
                return -1;
        *ret = job_times_since(&times, now - MIN(ms, now));
        job_times_done(&times);
        return 0;
}

static int run_logs(const struct invocation *inv, struct error *err)
{
        const struct arguments *a = &inv->arguments;
        autojson struct json_object *job = NULL, *ended = NULL;
        struct job_follow f = {.timestamps = arguments_flag(a, "timestamps")};
        uint64_t since = arguments_number(a, "since", 0);

        if (job_call(inv, "org.initvm.JobStatus", CALL_DEADLINE_MS, &job, err) < 0)
                return -1;
        f.id = json_get_u64(job, "id", 0);
        f.folder = json_get_string(job, "folder", "");
        f.base = json_get_u64(job, "logBase", 0);
        f.offset = arguments_number(a, "offset", 0);
        if (since > 0 && offset_since(job, since, &f.offset, err) < 0)
                return -1;
        if (f.offset == UINT64_MAX && (job_ended(job) || !arguments_flag(a, "follow")))
                return 0;
        if (f.offset == UINT64_MAX) /* nothing was written since then: what comes from now on */
                f.offset = 0;
        if (!arguments_flag(a, "follow") || job_ended(job))
                return job_log_print(&f, STDOUT_FILENO, err);
        return job_follow(&f, &ended, err);
}

static int run_wait(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *job = NULL;
        unsigned tries = 0;
        int r;

        do /* the job outlives a daemon */
                r = job_call(inv, "org.initvm.WaitJob", JOB_NO_DEADLINE, &job, err);
        while (r < 0 && err->code == ERR_DISCONNECTED && ++tries < WAIT_TRIES);
        if (r < 0)
                return -1;
        if (inv->json)
                job_print_json(job);
        else
                job_tell_end(job, NULL);
        return job_exit_status(job);
}

/* Without an operand of all jobs, and without end. */
static int run_watch(const struct invocation *inv, struct error *err)
{
        autoclient struct client *c = NULL;
        struct json_object *parameters = json_new();
        uint64_t id;

        if (inv->operands[0] && job_number(inv->operands[0], &id, err) < 0) {
                json_object_put(parameters);
                return -1;
        }
        if (inv->operands[0])
                json_add_u64(parameters, "id", id);
        if (daemon_connect(&c, err) < 0) {
                json_object_put(parameters);
                return -1;
        }
        if (client_send(c, "org.initvm.WatchJobs", parameters, VARLINK_MORE, err) < 0)
                return -1;
        for (bool more = true; more;) {
                autojson struct json_object *message = NULL;
                struct json_object *reply = NULL;

                if (client_receive(c, JOB_NO_DEADLINE, &message, err) < 0 || varlink_read_reply(message, &reply, &more, err) < 0)
                        return -1;
                printf("%s\n", json_line(json_get(reply, "event")));
                if (fflush(stdout) == EOF)
                        return 0; /* main says why, unless the reader just went */
        }
        return 0;
}

static const struct option_spec logs_options[] = {
        {.name = "follow", .letter = 'f', .type = OPTION_FLAG, .help = "go on until the job has ended"},
        {.name = "since", .type = OPTION_SECONDS, .argument = "SECONDS", .help = "only what was written in the last SECONDS"},
        {.name = "timestamps", .letter = 't', .type = OPTION_FLAG, .help = "put the time in front of each line"},
        {.name = "offset", .type = OPTION_NUMBER, .argument = "BYTES", .help = "leave out so many bytes at the beginning"},
        {0},
};

const struct command command_job_logs = {
        .name = "logs",
        .parent = &command_job,
        .summary = "print what a job's command has written",
        .operands = "JOB",
        .min_operands = 1,
        .max_operands = 1,
        .options = logs_options,
        .description =
                "Byte by byte, standard output and error together. Any number of readers may follow a log, from the beginning "
                "or from an offset; none of them holds up the job or another reader.",
        .examples = "initvm job logs 17\n"
                    "initvm job logs -f --timestamps 17",
        .run = run_logs,
};

static const struct option_spec json_option[] = {OPTION_JSON_HELP, {0}};

const struct command command_job_wait = {
        .name = "wait",
        .parent = &command_job,
        .flags = COMMAND_EXEC_STATUS,
        .summary = "wait until a job has ended, and exit with its status",
        .operands = "JOB",
        .min_operands = 1,
        .max_operands = 1,
        .options = json_option,
        .description = "The exit status is that of 'initvm submit'.",
        .run = run_wait,
};

const struct command command_job_watch = {
        .name = "watch",
        .parent = &command_job,
        .summary = "print the events of jobs, as JSON",
        .operands = "[JOB]",
        .max_operands = 1,
        .options = json_option,
        .description =
                "One object a line: of one job until it has ended, beginning with its state as it is; of all jobs without end. "
                "\"event\" is state, stage, heartbeat or removed, \"job\" as 'initvm job show --json' has it.",
        .run = run_watch,
};
