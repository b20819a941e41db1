/* SPDX-License-Identifier: MIT */
/* initvm job list, show. */
#include "cli/daemon.h"
#include "cli/job.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <json-c/json.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const char *state_style(const char *state)
{
        if (streq(state, "succeeded"))
                return terminal_style(STDOUT_FILENO, STYLE_GREEN);
        if (streq(state, "failed") || streq(state, "lost") || streq(state, "timed-out"))
                return terminal_style(STDOUT_FILENO, STYLE_RED);
        return streq(state, "cancelled") || streq(state, "queued") ? NULL : terminal_style(STDOUT_FILENO, STYLE_YELLOW);
}

static uint64_t now(void)
{
        return (uint64_t)time(NULL) * 1000;
}

static void add_row(struct table *t, struct json_object *job)
{
        const char *state = json_get_string(job, "state", "?");
        uint64_t submitted = json_get_u64(job, "submitted", 0), started = json_get_u64(job, "started", 0);
        uint64_t end = json_get_u64(job, "finished", json_get_u64(job, "ended", now()));
        autofree char *age = text_duration(MAX(now(), submitted) - submitted);
        autofree char *took = started > 0 ? text_duration(MAX(end, started) - started) : NULL;
        autobuf struct buf name = {0};
        autofree char *safe = NULL;

        text_append_safe(&name, json_get_string(job, "name", ""), false);
        safe = buf_take_string(&name);
        table_addf(t, "%llu", (unsigned long long)json_get_u64(job, "id", 0));
        table_add(t, json_get_string(job, "vm", ""), NULL);
        table_add(t, state, state_style(state));
        if (job_ended(job))
                table_addf(t, "%d", job_exit_status(job));
        else
                table_add(t, NULL, NULL);
        table_add(t, age, NULL);
        table_add(t, took, NULL);
        table_add(t, safe, NULL);
}

static void print_table(struct table *t)
{
        autobuf struct buf out = {0};
        autofree char *text = NULL;

        table_render(t, &out);
        text = buf_take_string(&out);
        fputs(text, stdout);
}

/* One page; *ret_next is 0 when there is no further one. */
static int take_page(struct client *c, const struct invocation *inv, struct table *t, uint64_t after, uint64_t *ret_next,
                     size_t *n, struct error *err)
{
        const struct arguments *a = &inv->arguments;
        struct json_object *parameters = json_new(), *jobs;
        autojson struct json_object *reply = NULL;

        json_add_string(parameters, "name", arguments_text(a, "vm", arguments_text(a, "name", NULL)));
        json_add_string(parameters, "state", arguments_text(a, "state", NULL));
        json_add_string(parameters, "label", arguments_text(a, "label", NULL));
        if (arguments_flag(a, "open"))
                json_add_bool(parameters, "open", true);
        json_add_u64(parameters, "after", after);
        if (client_call(c, "org.initvm.ListJobs", parameters, 0, CALL_DEADLINE_MS, &reply, err) < 0)
                return -1;
        jobs = json_get(reply, "jobs");
        if (!json_object_is_type(jobs, json_type_array))
                return error_set(err, ERR_PROTOCOL, "the daemon's answer lists no jobs");
        for (size_t i = 0; i < json_object_array_length(jobs); i++)
                if (inv->json)
                        printf("%s\n", json_line(json_object_array_get_idx(jobs, i)));
                else
                        add_row(t, json_object_array_get_idx(jobs, i));
        *n += json_object_array_length(jobs);
        *ret_next = json_get_u64(reply, "next", 0);
        return 0;
}

static int run_list(const struct invocation *inv, struct error *err)
{
        static const char *const headings[] = {"JOB", "VM", "STATE", "STATUS", "AGE", "RAN", "NAME", NULL};
        autoclient struct client *c = NULL;
        uint64_t next = 0;
        struct table t;
        size_t n = 0;
        int r;

        if (daemon_connect(&c, err) < 0)
                return -1;
        table_init(&t, headings);
        do
                r = take_page(c, inv, &t, next, &next, &n, err);
        while (r == 0 && next > 0);
        if (r == 0 && !inv->json && n == 0)
                fprintf(stderr, "there are no such jobs; 'initvm submit' makes one\n");
        else if (r == 0 && !inv->json)
                print_table(&t);
        table_done(&t);
        return r;
}

static void show_time(struct json_object *job, const char *key, const char *label)
{
        uint64_t ms = json_get_u64(job, key, 0);
        time_t seconds = (time_t)(ms / 1000);
        char text[64];
        struct tm tm;

        if (ms == 0)
                return;
        localtime_r(&seconds, &tm);
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
        printf("%-12s %s\n", label, text);
}

static void show_text(const char *label, const char *text)
{
        autobuf struct buf b = {0};
        autofree char *safe = NULL;

        if (!text || !*text)
                return;
        text_append_safe(&b, text, true);
        safe = buf_take_string(&b);
        printf("%-12s %s\n", label, safe);
}

static void show_stats(struct json_object *stats)
{
        if (!stats)
                return;
        printf("%-12s %.1f s of time, %.1f s of CPU, %s of memory, %s read, %s written", "used",
               (double)json_get_u64(stats, "wall", 0) / 1000, (double)json_get_u64(stats, "cpu", 0) / 1e6,
               format_size(json_get_u64(stats, "memoryPeak", 0)), format_size(json_get_u64(stats, "read", 0)),
               format_size(json_get_u64(stats, "written", 0)));
        if (json_get(stats, "disk"))
                printf(", %s of the disk at its end", format_size(json_get_u64(stats, "disk", 0)));
        if (json_get(stats, "emulated"))
                printf(", %d %% of the time under emulation", (int)json_get_u64(stats, "emulated", 0));
        putchar('\n');
}

static void show_artifacts(struct json_object *artifacts)
{
        for (size_t i = 0; artifacts && i < json_object_array_length(artifacts); i++) {
                struct json_object *o = json_object_array_get_idx(artifacts, i);
                autofree char *text = xasprintf("%s (%s, sha256 %s)", json_get_string(o, "name", "?"),
                                                format_size(json_get_u64(o, "size", 0)), json_get_string(o, "sha256", "?"));
                show_text(i == 0 ? "artifacts" : "", text);
        }
}

static int run_show(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *job = NULL;
        autofree char *queued = NULL;

        if (job_call(inv, "org.initvm.JobStatus", CALL_DEADLINE_MS, &job, err) < 0)
                return -1;
        if (inv->json) {
                job_print_json(job);
                return 0;
        }
        printf("%-12s %llu\n", "job", (unsigned long long)json_get_u64(job, "id", 0));
        show_text("name", json_get_string(job, "name", NULL));
        show_text("vm", json_get_string(job, "vm", NULL));
        show_text("state", json_get_string(job, "state", NULL));
        show_text("stage", json_get_string(job, "stage", NULL));
        if (job_ended(job))
                printf("%-12s %d\n", "status", job_exit_status(job));
        show_text("message", json_get_string(job, "message", NULL));
        if (json_get_u64(job, "attempt", 1) > 1)
                printf("%-12s %llu\n", "attempt", (unsigned long long)json_get_u64(job, "attempt", 1));
        show_time(job, "submitted", "submitted");
        show_time(job, "started", "started");
        show_time(job, "finished", "finished");
        show_time(job, "ended", "ended");
        queued = job_took(job, "submitted", "prepared");
        show_text("queued for", queued);
        show_text("ran under", json_get_string(job, "acceleration", NULL));
        show_stats(json_get(json_get(job, "result"), "stats"));
        show_artifacts(json_get(job, "artifacts"));
        show_text("folder", json_get_string(job, "folder", NULL));
        printf("%-12s %s\n", "does", json_line(json_get(job, "spec")));
        return 0;
}

static const struct option_spec list_options[] = {
        {.name = "open", .type = OPTION_FLAG, .help = "only those that have not ended"},
        {.name = "state", .type = OPTION_STRING, .argument = "STATE", .help = "only those in this state"},
        {.name = "label", .type = OPTION_STRING, .argument = "LABEL", .help = "only those with this label"},
        {.name = "vm", .type = OPTION_VM, .argument = "NAME", .help = "only those of this VM"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_job_list = {
        .name = "list",
        .alias = "ls",
        .parent = &command_job,
        .summary = "list the jobs",
        .options = list_options,
        .description = "STATUS is what 'initvm submit' exits with. With --json, one object a line for each job.",
        .run = run_list,
};

static const struct option_spec show_options[] = {OPTION_JSON_HELP, {0}};

const struct command command_job_show = {
        .name = "show",
        .parent = &command_job,
        .summary = "show all that is known of a job",
        .operands = "JOB",
        .min_operands = 1,
        .max_operands = 1,
        .options = show_options,
        .run = run_show,
};
