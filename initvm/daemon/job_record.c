/* SPDX-License-Identifier: MIT */
#include "daemon/job_record.h"

#include "base/file.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t job_time(void)
{
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void job_record_new_token(struct job_record *r)
{
        uint8_t random[(JOB_TOKEN_SIZE - 1) / 2];

        random_bytes(random, sizeof(random));
        for (size_t i = 0; i < sizeof(random); i++)
                snprintf(r->token + 2 * i, 3, "%02x", random[i]);
}

void job_record_init(struct job_record *r, uint64_t id, const char *vm, struct json_object *spec, const char *name)
{
        *r = (struct job_record){.id = id, .state = JOB_QUEUED, .attempt = 1, .submitted = job_time()};
        r->vm = xstrdup(vm);
        r->name = xstrdup(name);
        r->spec = json_object_get(spec);
        job_record_new_token(r);
}

void job_record_done(struct job_record *r)
{
        free(r->vm);
        free(r->name);
        free(r->acceleration);
        free(r->message);
        json_object_put(r->spec);
        json_object_put(r->result);
        json_object_put(r->artifacts);
        *r = (struct job_record){0};
}

static bool token_valid(const char *token)
{
        return strlen(token) == JOB_TOKEN_SIZE - 1 && strspn(token, "0123456789abcdef") == JOB_TOKEN_SIZE - 1;
}

static int read_record(struct json_object *o, struct job_record *r, struct error *err)
{
        const char *vm, *name, *state, *token, *acceleration = NULL, *message = NULL, *outcome = NULL;
        struct json_object *spec, *result = NULL, *artifacts = NULL;
        struct job_record n = {0};
        struct job_spec checked;
        const struct json_field fields[] = {
                {"id", JSON_FIELD_U64, JSON_REQUIRED, &n.id},
                {"vm", JSON_FIELD_STRING, JSON_REQUIRED, &vm},
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"spec", JSON_FIELD_OBJECT, JSON_REQUIRED, &spec},
                {"state", JSON_FIELD_STRING, JSON_REQUIRED, &state},
                {"token", JSON_FIELD_STRING, JSON_REQUIRED, &token},
                {"attempt", JSON_FIELD_U64, JSON_REQUIRED, &n.attempt},
                {"preparations", JSON_FIELD_U64, 0, &n.preparations},
                {"logBase", JSON_FIELD_U64, 0, &n.log_base},
                {"retryOf", JSON_FIELD_U64, 0, &n.retry_of},
                {"submitted", JSON_FIELD_U64, JSON_REQUIRED, &n.submitted},
                {"prepared", JSON_FIELD_U64, 0, &n.prepared},
                {"started", JSON_FIELD_U64, 0, &n.started},
                {"finished", JSON_FIELD_U64, 0, &n.finished},
                {"ended", JSON_FIELD_U64, 0, &n.ended},
                {"acceleration", JSON_FIELD_STRING, 0, &acceleration},
                {"inputs", JSON_FIELD_BOOL, 0, &n.inputs},
                {"cancel", JSON_FIELD_BOOL, 0, &n.cancel},
                {"workspace", JSON_FIELD_BOOL, 0, &n.workspace},
                {"workspaceKept", JSON_FIELD_BOOL, 0, &n.workspace_kept},
                {"result", JSON_FIELD_OBJECT, 0, &result},
                {"outcome", JSON_FIELD_STRING, 0, &outcome},
                {"status", JSON_FIELD_U64, 0, &n.status},
                {"message", JSON_FIELD_STRING, 0, &message},
                {"artifacts", JSON_FIELD_ARRAY, 0, &artifacts},
        };

        if (json_read(o, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (job_state_from_name(state, &n.state) < 0)
                return error_set(err, ERR_INVALID, "'%s' is no state", state);
        if (outcome && (job_state_from_name(outcome, &n.outcome) < 0 || !job_state_final(n.outcome)))
                return error_set(err, ERR_INVALID, "'%s' is no outcome", outcome);
        if (!token_valid(token) || !vm_name_valid(vm))
                return error_set(err, ERR_INVALID, "'token' or 'vm' is malformed");
        if (job_spec_read(spec, &checked, err) < 0)
                return error_prefix(err, "'spec'");
        memcpy(n.token, token, JOB_TOKEN_SIZE);
        n.vm = xstrdup(vm);
        n.name = xstrdup(name);
        n.acceleration = acceleration ? xstrdup(acceleration) : NULL;
        n.message = message ? xstrdup(message) : NULL;
        n.spec = json_object_get(spec);
        n.result = json_object_get(result);
        n.artifacts = json_object_get(artifacts);
        *r = n;
        return 0;
}

int job_record_load(struct job_record *r, const char *folder, struct error *err)
{
        autofree char *path = xasprintf("%s/job.json", folder);
        autojson struct json_object *o = json_parse_file(path, err);

        if (!o)
                return -1;
        if (read_record(o, r, err) < 0)
                return error_prefix(err, "'%s'", path);
        return 0;
}

static void add_time(struct json_object *o, const char *key, uint64_t value)
{
        if (value > 0)
                json_add_u64(o, key, value);
}

static void add_true(struct json_object *o, const char *key, bool value)
{
        if (value)
                json_add_bool(o, key, true);
}

/* What the file and the interface have in common. */
static struct json_object *common(const struct job_record *r)
{
        struct json_object *o = json_new();

        json_add_u64(o, "id", r->id);
        json_add_string(o, "vm", r->vm);
        json_add_string(o, "name", r->name);
        json_add_string(o, "state", job_state_text(r->state));
        json_add_u64(o, "attempt", r->attempt);
        add_time(o, "retryOf", r->retry_of);
        add_time(o, "submitted", r->submitted);
        add_time(o, "prepared", r->prepared);
        add_time(o, "started", r->started);
        add_time(o, "finished", r->finished);
        add_time(o, "ended", r->ended);
        json_add_string(o, "acceleration", r->acceleration);
        add_time(o, "logBase", r->log_base);
        add_true(o, "inputs", r->inputs);
        add_true(o, "workspace", r->workspace);
        if (job_state_final(r->state) || r->outcome != JOB_QUEUED)
                json_add_u64(o, "status", r->status);
        json_add_string(o, "message", r->message);
        json_add(o, "result", json_object_get(r->result));
        json_add(o, "artifacts", json_object_get(r->artifacts));
        return o;
}

int job_record_save(const struct job_record *r, const char *folder, struct error *err)
{
        autofree char *path = xasprintf("%s/job.json", folder), *text = NULL;
        autojson struct json_object *o = common(r);

        json_add(o, "spec", json_object_get(r->spec));
        json_add_string(o, "token", r->token);
        add_time(o, "preparations", r->preparations);
        add_true(o, "cancel", r->cancel);
        if (r->outcome != JOB_QUEUED)
                json_add_string(o, "outcome", job_state_text(r->outcome));
        add_true(o, "workspaceKept", r->workspace_kept);
        text = xasprintf("%s\n", json_line(o));
        return file_write_atomic(path, 0600, text, strlen(text), err);
}

struct json_object *job_record_describe(const struct job_record *r, const char *folder, bool whole)
{
        struct json_object *o = common(r);
        struct job_spec s;

        json_add_string(o, "folder", folder);
        if (job_spec_read(r->spec, &s, NULL) == 0) {
                json_add_u64(o, "priority", s.priority);
                json_add(o, "labels", json_object_get(s.labels));
        }
        if (whole) {
                json_add(o, "spec", json_object_get(r->spec));
                json_add_string(o, "token", r->token);
        }
        return o;
}
