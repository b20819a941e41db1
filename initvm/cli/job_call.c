/* SPDX-License-Identifier: MIT */
#include "cli/job.h"

#include "cli/daemon.h"
#include "cli/text.h"

#include <json-c/json.h>
#include <stdio.h>

int job_number(const char *operand, uint64_t *ret, struct error *err)
{
        if (parse_u64(operand, 1, INT64_MAX, ret) < 0)
                return error_set(err, ERR_INVALID, "'%s' is not the number of a job; 'initvm job list' shows them", operand);
        return 0;
}

int job_call(const struct invocation *inv, const char *method, unsigned deadline_ms, struct json_object **ret_job,
             struct error *err)
{
        autojson struct json_object *parameters = json_new(), *reply = NULL;
        autoclient struct client *c = NULL;
        uint64_t id;

        if (job_number(inv->operands[0], &id, err) < 0 || daemon_connect(&c, err) < 0)
                return -1;
        json_add_u64(parameters, "id", id);
        if (client_call(c, method, take_ptr(parameters), 0, deadline_ms, &reply, err) < 0)
                return -1;
        if (!ret_job)
                return 0;
        *ret_job = json_object_get(json_get(reply, "job"));
        return *ret_job ? 0 : error_set(err, ERR_PROTOCOL, "the daemon's answer says nothing of the job");
}

bool job_ended(struct json_object *job)
{
        return json_get(job, "status") != NULL;
}

int job_exit_status(struct json_object *job)
{
        return (int)(json_get_u64(job, "status", 125) & 0xff);
}

void job_print_json(struct json_object *job)
{
        autojson struct json_object *o = json_new();

        json_add(o, "job", json_object_get(job));
        printf("%s\n", json_line(o));
        fflush(stdout);
}

char *job_took(struct json_object *job, const char *from, const char *to)
{
        uint64_t begin = json_get_u64(job, from, 0), end = json_get_u64(job, to, 0);

        if (begin == 0 || end < begin)
                return NULL;
        return end - begin < 60000 ? xasprintf("%.1f s", (double)(end - begin) / 1000) : text_duration(end - begin);
}

/* "failed with exit status 3" */
static char *how(struct json_object *job)
{
        const char *state = json_get_string(job, "state", "?");
        struct json_object *result = json_get(job, "result");
        const char *kind = json_get_string(result, "result", "");
        unsigned long long status = json_get_u64(result, "status", 0);

        if (streq(state, "failed") && streq(kind, "exited") && status > 0)
                return xasprintf("failed with exit status %llu", status);
        if (streq(state, "failed") && streq(kind, "signaled"))
                return xasprintf("failed, killed by signal %llu", status);
        if (streq(state, "cancelled"))
                return xstrdup("was cancelled");
        if (streq(state, "timed-out"))
                return xstrdup("timed out");
        if (streq(state, "lost"))
                return xstrdup("is lost");
        return xstrdup(state);
}

static void print_safe(const char *text)
{
        autobuf struct buf b = {0};
        autofree char *safe = NULL;

        text_append_safe(&b, text, true);
        safe = buf_take_string(&b);
        fputs(safe, stderr);
}

void job_tell_end(struct json_object *job, const char *artifacts)
{
        unsigned long long id = json_get_u64(job, "id", 0);
        autofree char *ended = how(job), *took = job_took(job, "started", "finished"),
                      *waited = job_took(job, "submitted", "prepared");
        const char *message = json_get_string(job, "message", "");
        struct json_object *list = json_get(job, "artifacts");

        fflush(stdout);
        fprintf(stderr, "initvm: job %llu %s%s%s%s%s%s", id, ended, took ? " after " : "", took ? took : "",
                took && waited ? ", having waited " : "", took && waited ? waited : "", *message ? ": " : "");
        print_safe(message);
        fputc('\n', stderr);
        if (artifacts)
                fprintf(stderr, "initvm: its artifacts are in '%s'\n", artifacts);
        else if (list && json_object_array_length(list) > 0)
                fprintf(stderr, "initvm: 'initvm job fetch %llu' copies its artifacts here\n", id);
        if (json_get_bool(job, "workspace", false))
                fprintf(stderr,
                        "initvm: its workspace in the VM is kept: 'initvm job shell %llu' looks inside, 'initvm job remove %llu' "
                        "removes "
                        "it\n",
                        id, id);
}
