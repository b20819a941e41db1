/* SPDX-License-Identifier: MIT */
#include "jobs_fixture.h"

#include "scratch.h"

#include "base/file.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 30000

static void on_late(void *userdata)
{
        struct jobs_test *t = userdata;

        t->late = true;
        loop_quit(t->loop, 0);
}

/* Goes on until the job is in this state. */
struct waited {
        struct jobs_test *t;
        enum job_state state;
        const char *event;
};

static void on_event(void *userdata, struct json_object *owned_event, bool last)
{
        struct waited *w = userdata;
        const char *state = json_get_string(json_get(owned_event, "job"), "state", "");

        if ((w->event && streq(json_get_string(owned_event, "event", ""), w->event)) ||
            (!w->event && streq(state, job_state_text(w->state))) || last)
                loop_quit(w->t->loop, 0);
        json_object_put(owned_event);
}

static void wait_event(struct jobs_test *t, struct waited *w, uint64_t id)
{
        struct loop_source *timer = loop_add_timer(t->loop, on_late, t);
        struct job *job = jobs_find(t->jobs, id, NULL);
        struct job_watch *watch;

        assert_non_null(job);
        if (w->event || job_get_record(job)->state != w->state) {
                loop_timer_arm(timer, DEADLINE_MS);
                watch = jobs_watch(t->jobs, job, on_event, w);
                if (watch)
                        loop_run(t->loop);
                if (!job_state_final(job_get_record(job)->state))
                        job_watch_free(watch);
        }
        loop_source_free(timer);
        assert_false(t->late);
}

const struct job_record *jobs_until(struct jobs_test *t, uint64_t id, enum job_state state)
{
        struct waited w = {.t = t, .state = state};
        const struct job_record *r;

        wait_event(t, &w, id);
        r = job_get_record(jobs_find(t->jobs, id, NULL));
        if (r->state != state)
                fail_msg("job %d is %s instead of %s: %s", (int)id, job_state_text(r->state), job_state_text(state),
                         r->message ? r->message : "");
        return r;
}

/* Goes on for so long. */
static void on_time(void *userdata)
{
        loop_quit(((struct jobs_test *)userdata)->loop, 0);
}

void jobs_run_for(struct jobs_test *t, uint64_t ms)
{
        struct loop_source *timer = loop_add_timer(t->loop, on_time, t);

        loop_timer_arm(timer, ms);
        loop_run(t->loop);
        loop_source_free(timer);
}

void jobs_daemon_begin(struct jobs_test *t)
{
        struct job_machines machines = job_vm_machines(&t->vm);
        struct error err = ERROR_INIT;

        t->jobs = jobs_new(t->loop, t->folder, &machines, &err);
        if (!t->jobs)
                fail_msg("%s", err.message);
        jobs_begin(t->jobs);
}

/* As a daemon that ends: nothing is told to the guest. */
void jobs_daemon_stop(struct jobs_test *t)
{
        jobs_stop(t->jobs);
        channel_free(take_ptr(t->vm.channel));
        jobs_run_for(t, 1); /* what was posted */
        jobs_free(take_ptr(t->jobs));
}

int jobs_setup(void **state)
{
        struct jobs_test *t = xcalloc(1, sizeof(*t));
        autofree char *guest = NULL;

        if (scratch_setup(state) < 0)
                return -1;
        t->folder = *state;
        guest = xasprintf("%s/guest", t->folder);
        assert_int_equal(mkdir(guest, 0700), 0);
        setenv("JOB_GUEST", guest, 1); /* for chroot_client */
        t->loop = loop_new();
        job_vm_init(&t->vm, t->loop, "base", guest);
        jobs_daemon_begin(t);
        *state = t;
        return 0;
}

int jobs_teardown(void **state)
{
        struct jobs_test *t = *state;

        jobs_daemon_stop(t);
        job_vm_kill(&t->vm);
        job_vm_done(&t->vm);
        jobs_run_for(t, 1);
        loop_free(t->loop);
        *state = t->folder;
        free(t);
        return scratch_teardown(state);
}

int jobs_try_submit(struct jobs_test *t, const char *spec, const char *folder, uint64_t *ret, struct error *err)
{
        autojson struct json_object *o = json_parse(spec, strlen(spec), err);
        struct job *job;

        assert_non_null(o);
        if (jobs_submit(t->jobs, "base", o, folder, &job, err) < 0)
                return -1;
        *ret = job_get_record(job)->id;
        return 0;
}

uint64_t jobs_submit_text(struct jobs_test *t, const char *spec)
{
        struct error err = ERROR_INIT;
        uint64_t id = 0;

        if (jobs_try_submit(t, spec, NULL, &id, &err) < 0)
                fail_msg("%s", err.message);
        return id;
}

char *job_file(struct jobs_test *t, uint64_t id, const char *name)
{
        return xasprintf("%s/jobs/%llu/%s", t->folder, (unsigned long long)id, name);
}

bool job_has_file(struct jobs_test *t, uint64_t id, const char *name)
{
        autofree char *path = job_file(t, id, name);

        return access(path, F_OK) == 0;
}

/* A file of the guest that changes what it does. */
void guest_knob(struct jobs_test *t, const char *name, const char *text)
{
        autofree char *path = xasprintf("%s/guest/%s", t->folder, name);

        if (text)
                assert_int_equal(file_write_atomic(path, 0600, text, strlen(text), NULL), 0);
        else
                unlink(path);
}

/* How often the guest was called so. */
unsigned guest_calls(struct jobs_test *t, const char *begins)
{
        autofree char *path = xasprintf("%s/guest/calls", t->folder), *text = file_read(path, 1u << 20, NULL, NULL);
        autostrv char **lines = strv_split(text ? text : "", "\n");
        unsigned n = 0;

        for (char **line = lines; *line; line++)
                n += str_has_prefix(*line, begins);
        return n;
}

bool guest_has(struct jobs_test *t, uint64_t id)
{
        autofree char *path = xasprintf("%s/guest/jobs/%llu", t->folder, (unsigned long long)id);

        return access(path, F_OK) == 0;
}

/* The log, also when it is compressed already. */
void assert_job_log(struct jobs_test *t, uint64_t id, const char *text)
{
        autofree char *zst = job_file(t, id, "log.zst"), *log = job_file(t, id, "log");
        autofree char *found = NULL;

        for (int i = 0; i < 100 && access(zst, F_OK) < 0; i++)
                jobs_run_for(t, 20); /* in a worker: nobody is told */
        assert_true(access(log, F_OK) < 0);
        char *argv[] = {(char *)"zstdcat", zst, NULL};
        found = scratch_output(argv);
        assert_string_equal(found, text);
}

void jobs_until_event(struct jobs_test *t, uint64_t id, const char *event)
{
        struct waited w = {.t = t, .event = event};

        wait_event(t, &w, id);
}
