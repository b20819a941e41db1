/* SPDX-License-Identifier: MIT */
/* Build jobs, as the interface has them. */
#include "base/log.h"
#include "daemon/jobs.h"
#include "daemon/methods_private.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* What a reply of ListJobs holds: far from what a message may have, whatever is in a job. */
#define LIST_PAGE      100u
#define LIST_PAGE_SIZE (256u << 10)

static void reply_job(struct call *call, const struct job *job, bool whole)
{
        struct json_object *o = json_new();

        json_add(o, "job", job_describe(job, whole));
        call_reply(call, o);
}

/* The job that the one parameter "id" names. */
static struct job *named_job(struct json_object *parameters, struct daemon *d, struct error *err)
{
        uint64_t id;
        const struct json_field fields[] = {{"id", JSON_FIELD_U64, JSON_REQUIRED, &id}};

        return methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0 ? NULL : jobs_find(d->jobs, id, err);
}

int methods_submit_job(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name, *folder = NULL;
        struct json_object *spec;
        struct job *job;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"spec", JSON_FIELD_OBJECT, JSON_REQUIRED, &spec},
                {"folder", JSON_FIELD_STRING, 0, &folder},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0 ||
            jobs_submit(d->jobs, name, spec, folder, &job, err) < 0)
                return -1;
        reply_job(call, job, false);
        return 0;
}

struct filter {
        const char *name, *state, *label;
        bool open;
};

static bool has_label(struct json_object *spec, const char *label)
{
        struct json_object *labels = json_get(spec, "labels");

        for (size_t i = 0; labels && i < json_object_array_length(labels); i++)
                if (streq(json_object_get_string(json_object_array_get_idx(labels, i)), label))
                        return true;
        return false;
}

static bool passes(const struct job_record *r, const struct filter *f)
{
        return (!f->name || streq(r->vm, f->name)) && (!f->open || !job_state_final(r->state)) &&
               (!f->state || streq(job_state_text(r->state), f->state)) && (!f->label || has_label(r->spec, f->label));
}

int methods_list_jobs(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        struct filter f = {0};
        uint64_t after = 0, last = 0;
        enum job_state ignored;
        struct json_object *o, *list;
        size_t size = 0;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, 0, &f.name},   {"open", JSON_FIELD_BOOL, 0, &f.open},
                {"state", JSON_FIELD_STRING, 0, &f.state}, {"label", JSON_FIELD_STRING, 0, &f.label},
                {"after", JSON_FIELD_U64, 0, &after},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (f.state && job_state_from_name(f.state, &ignored) < 0)
                return error_set(err, ERR_INVALID,
                                 "'%s' is no state of a job: it is queued, preparing, running, collecting, succeeded, failed, "
                                 "cancelled, timed-out or lost",
                                 f.state);
        o = json_new();
        list = json_object_new_array();
        for (struct job *job = jobs_next(d->jobs, after); job; job = jobs_next(d->jobs, job_get_record(job)->id)) {
                struct json_object *one;

                if (!passes(job_get_record(job), &f))
                        continue;
                if (json_object_array_length(list) >= LIST_PAGE || size > LIST_PAGE_SIZE) {
                        json_add_u64(o, "next", last);
                        break;
                }
                one = job_describe(job, false);
                size += strlen(json_line(one));
                last = job_get_record(job)->id;
                json_object_array_add(list, one);
        }
        json_add(o, "jobs", list);
        call_reply(call, o);
        return 0;
}

int methods_job_status(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        struct job *job = named_job(parameters, d, err);

        if (!job)
                return -1;
        reply_job(call, job, true);
        return 0;
}

/* ---- waiting */

struct watching {
        struct call *call;
        struct job_watch *watch;
        bool events; /* each is told; else only the job as it has ended */
};

static void on_gone(void *userdata)
{
        autofree struct watching *w = userdata;
        struct error err = ERROR_INIT;

        job_watch_free(w->watch);
        error_set(&err, ERR_CANCELLED, "cancelled");
        call_on_cancel(w->call, NULL, NULL);
        call_fail(w->call, &err);
}

static void on_event(void *userdata, struct json_object *owned_event, bool last)
{
        struct watching *w = userdata;
        struct json_object *o = json_new();
        struct call *call = w->call;

        if (w->events) {
                json_add(o, "event", owned_event);
        } else {
                json_add(o, "job", json_object_get(json_get(owned_event, "job")));
                json_object_put(owned_event);
        }
        if (last) {
                call_on_cancel(call, NULL, NULL);
                free(w);
                call_reply(call, o);
        } else if (w->events) {
                call_progress(call, o);
        } else {
                json_object_put(o);
        }
}

static void watch(struct call *call, struct daemon *d, struct job *job, bool events)
{
        struct watching *w = xcalloc(1, sizeof(*w));
        struct job_watch *made;

        w->call = call;
        w->events = events;
        call_on_cancel(call, on_gone, w);
        made = jobs_watch(d->jobs, job, on_event, w);
        if (made)
                w->watch = made; /* else w is gone already */
}

int methods_watch_jobs(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        uint64_t id = 0;
        struct job *job = NULL;
        const struct json_field fields[] = {{"id", JSON_FIELD_U64, 0, &id}};

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0 || (id > 0 && !(job = jobs_find(d->jobs, id, err))))
                return -1;
        watch(call, d, job, true);
        return 0;
}

int methods_wait_job(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        struct job *job = named_job(parameters, d, err);

        if (!job)
                return -1;
        watch(call, d, job, false);
        return 0;
}

int methods_cancel_job(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        struct job *job = named_job(parameters, d, err);

        if (!job || jobs_cancel(d->jobs, job, err) < 0)
                return -1;
        watch(call, d, job, false);
        return 0;
}

int methods_retry_job(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        struct job *job = named_job(parameters, d, err);

        if (!job || jobs_retry(d->jobs, job, &job, err) < 0)
                return -1;
        reply_job(call, job, false);
        return 0;
}

int methods_remove_job(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        struct job *job = named_job(parameters, d, err);

        if (!job || jobs_remove(d->jobs, job, err) < 0)
                return -1;
        call_reply(call, NULL);
        return 0;
}

/* ---- pruning */

struct pruning {
        const char *name;
        uint64_t older_than; /* UINT64_MAX: no limit */
        uint64_t keep_size;  /* the same */
};

/* Numbers of the jobs that are to go, the oldest first, and what they take. */
static struct json_object *choose(struct jobs *jobs, const struct pruning *p, uint64_t *ret_size)
{
        struct json_object *chosen = json_object_new_array();
        uint64_t now = job_time(), kept = 0;

        *ret_size = 0;
        for (struct job *job = jobs_next(jobs, 0); job; job = jobs_next(jobs, job_get_record(job)->id))
                if (job_state_final(job_get_record(job)->state) && (!p->name || streq(job_get_record(job)->vm, p->name)))
                        kept += jobs_size(jobs, job);
        for (struct job *job = jobs_next(jobs, 0); job; job = jobs_next(jobs, job_get_record(job)->id)) {
                const struct job_record *r = job_get_record(job);
                uint64_t size;

                if (!job_state_final(r->state) || (p->name && !streq(r->vm, p->name)) ||
                    !(kept > p->keep_size || (p->older_than != UINT64_MAX && r->ended + p->older_than <= now)))
                        continue;
                size = jobs_size(jobs, job);
                kept -= MIN(size, kept);
                *ret_size += size;
                json_object_array_add(chosen, json_object_new_uint64(r->id));
        }
        return chosen;
}

int methods_prune_jobs(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        struct pruning p = {.older_than = UINT64_MAX, .keep_size = UINT64_MAX};
        struct json_object *o, *chosen;
        autostrv char **vms = NULL;
        uint64_t size;
        bool dry = false;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, 0, &p.name},
                {"olderThan", JSON_FIELD_U64, 0, &p.older_than},
                {"keepSize", JSON_FIELD_U64, 0, &p.keep_size},
                {"dryRun", JSON_FIELD_BOOL, 0, &dry},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (p.older_than == UINT64_MAX && p.keep_size == UINT64_MAX)
                return error_set(err, ERR_INVALID, "neither an age nor a size says which jobs are to go");
        chosen = choose(d->jobs, &p, &size);
        for (size_t i = 0; !dry && i < json_object_array_length(chosen); i++) {
                struct error failed = ERROR_INIT;
                struct job *job = jobs_find(d->jobs, json_object_get_uint64(json_object_array_get_idx(chosen, i)), &failed);

                if (job && !strv_contains(vms, job_get_record(job)->vm))
                        strv_add(&vms, job_get_record(job)->vm);
                if (job && jobs_remove(d->jobs, job, &failed) < 0)
                        log_warning("%s", failed.message);
        }
        for (char **vm = vms; vm && *vm; vm++)
                jobs_trim(d->jobs, *vm);
        o = json_new();
        json_add(o, "removed", chosen);
        json_add_u64(o, "size", size);
        call_reply(call, o);
        return 0;
}

int methods_limit_jobs(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name;
        uint64_t limit = UINT64_MAX;
        struct json_object *o;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"limit", JSON_FIELD_U64, 0, &limit},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0 ||
            (limit != UINT64_MAX && jobs_set_limit(d->jobs, name, limit, err) < 0) ||
            jobs_get_limit(d->jobs, name, &limit, err) < 0)
                return -1;
        o = json_new();
        json_add_u64(o, "limit", limit);
        call_reply(call, o);
        return 0;
}
