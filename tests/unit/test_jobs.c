/* SPDX-License-Identifier: MIT */
/* Build jobs from the queue to their end, and after it, with the guest's side as a process: what they come to, and in which
 * order. */
#include "jobs_fixture.h"
#include "scratch.h"

#include "base/file.h"
#include "base/new_folder.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- ends */

static void test_succeeds(void **state)
{
        struct jobs_test *t = *state;
        uint64_t id = jobs_submit_text(t, "{\"command\":[\"sh\",\"-c\",\"echo out; echo err >&2\"]}");
        const struct job_record *r = jobs_until(t, id, JOB_SUCCEEDED);

        assert_int_equal(id, 1);
        assert_int_equal(r->status, 0);
        assert_false(r->workspace);
        assert_false(guest_has(t, id));
        assert_true(r->submitted <= r->prepared && r->prepared <= r->started && r->started <= r->finished &&
                    r->finished <= r->ended);
        assert_string_equal(r->acceleration, "tcg");
        assert_job_log(t, id, "out\nerr\n");
        assert_true(job_has_file(t, id, "log.times"));
        assert_int_equal(t->vm.starts, 1);
}

static void test_results(void **state)
{
        static const struct {
                const char *spec;
                enum job_state state;
                unsigned status;
        } cases[] = {
                {"{\"command\":[\"sh\",\"-c\",\"exit 3\"]}", JOB_FAILED, 3},
                {"{\"command\":[\"sh\",\"-c\",\"kill -9 $$\"]}", JOB_FAILED, 137},
                {"{\"script\":\"false\\necho not here\"}", JOB_FAILED, 1},
                {"{\"command\":[\"/no/such\"]}", JOB_FAILED, 127},
                {"{\"command\":[\"/etc/passwd\"]}", JOB_FAILED, 126},
                {"{\"command\":[\"sleep\",\"1000\"],\"limits\":{\"timeout\":100}}", JOB_TIMED_OUT, 124},
                {"{\"command\":[\"true\"],\"chroot\":\"nowhere\"}", JOB_FAILED, 125},
                {"{\"command\":[\"true\"],\"artifacts\":[\"*.deb\"]}", JOB_FAILED, 1},
        };
        struct jobs_test *t = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t id = jobs_submit_text(t, cases[i].spec);
                const struct job_record *r = jobs_until(t, id, cases[i].state);
                assert_int_equal(r->status, cases[i].status);
                assert_true(r->workspace && r->workspace_kept);
                assert_false(job_has_file(t, id, "artifacts.tar.part"));
        }
}

static void test_inputs_and_artifacts(void **state)
{
        struct jobs_test *t = *state;
        autofree char *parent = xasprintf("%s/jobs", t->folder), *folder = NULL, *tar = NULL, *listed = NULL;
        struct error err = ERROR_INIT;
        const struct job_record *r;
        struct json_object *artifact;
        uint64_t id;
        int lock = new_folder_make(parent, &folder, &err);

        assert_true(lock >= 0);
        tar = xasprintf("%s/inputs.tar", folder);
        free(scratch_file((void **)&t->folder, "source", "content\n", 8, 0644));
        char *pack[] = {(char *)"tar", (char *)"-C", t->folder, (char *)"-cf", tar, (char *)"source", NULL};
        free(scratch_output(pack));
        assert_int_equal(
                jobs_try_submit(t,
                                "{\"script\":\"cat source; cp source result; truncate -s 300000 hole\",\"inputs\":[\"source\"],"
                                "\"artifacts\":[\"res*\",\"hole\"]}",
                                strrchr(folder, '/') + 1, &id, &err),
                0);
        close(lock);
        r = jobs_until(t, id, JOB_SUCCEEDED);
        assert_int_equal(json_object_array_length(r->artifacts), 2);
        artifact = json_object_array_get_idx(r->artifacts, 0);
        assert_string_equal(json_get_string(artifact, "name", ""), "result");
        assert_int_equal(json_get_u64(artifact, "size", 0), 8);
        assert_false(job_has_file(t, id, "inputs.tar")); /* they are not needed any more */
        assert_false(job_has_file(t, id, "artifacts.tar.part"));
        autofree char *artifacts = job_file(t, id, "artifacts.tar");
        char *list[] = {(char *)"tar", (char *)"-tf", artifacts, NULL};
        listed = scratch_output(list);
        assert_string_equal(listed, "result\nhole\n");
        assert_job_log(t, id, "content\n");
}

static void test_spoiled_artifacts(void **state)
{
        struct jobs_test *t = *state;
        uint64_t id;

        guest_knob(t, "spoil", ""); /* the first time */
        id = jobs_submit_text(t, "{\"script\":\"seq 1000 >a\",\"artifacts\":[\"a\"]}");
        jobs_until(t, id, JOB_SUCCEEDED);
        assert_int_equal(guest_calls(t, "--job artifacts"), 2);
        assert_true(job_has_file(t, id, "artifacts.tar"));
}

/* ---- the queue */

static void test_order_and_slots(void **state)
{
        struct jobs_test *t = *state;
        uint64_t a, b, low, high;

        guest_knob(t, "hang.start", "");
        a = jobs_submit_text(t, "{\"command\":[\"true\"]}");
        b = jobs_submit_text(t, "{\"command\":[\"true\"]}");
        jobs_until(t, b, JOB_RUNNING); /* two CPUs */
        t->vm.cpus = 1;
        low = jobs_submit_text(t, "{\"command\":[\"true\"]}");
        high = jobs_submit_text(t, "{\"command\":[\"true\"],\"priority\":90}");
        jobs_run_for(t, 50);
        assert_int_equal(job_get_record(jobs_find(t->jobs, low, NULL))->state, JOB_QUEUED);
        assert_int_equal(job_get_record(jobs_find(t->jobs, high, NULL))->state, JOB_QUEUED);
        guest_knob(t, "hang.start", NULL);
        jobs_until(t, low, JOB_SUCCEEDED);
        jobs_until(t, a, JOB_SUCCEEDED);
        assert_true(job_get_record(jobs_find(t->jobs, high, NULL))->prepared <=
                    job_get_record(jobs_find(t->jobs, low, NULL))->prepared);
        assert_int_equal(job_get_record(jobs_find(t->jobs, high, NULL))->state, JOB_SUCCEEDED);
}

static void test_no_vm(void **state)
{
        struct jobs_test *t = *state;
        autojson struct json_object *o = json_parse("{\"command\":[\"a\"]}", 17, NULL);
        struct error err = ERROR_INIT;
        struct job *job;

        assert_int_equal(jobs_submit(t->jobs, "other", o, NULL, &job, &err), -1);
        assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* ---- chroots */

static void test_chroot_is_made_once(void **state)
{
        struct jobs_test *t = *state;
        uint64_t a, b;

        a = jobs_submit_text(t, "{\"command\":[\"true\"],\"suite\":\"trixie\"}");
        b = jobs_submit_text(t, "{\"command\":[\"true\"],\"suite\":\"trixie\",\"architecture\":\"amd64\"}");
        jobs_until(t, a, JOB_SUCCEEDED);
        jobs_until(t, b, JOB_SUCCEEDED);
        assert_int_equal(guest_calls(t, "client chroot create --json --name=base --arch=amd64 --suite=trixie -- trixie-amd64"),
                         1);
}

static void test_chroot_is_not_made(void **state)
{
        struct jobs_test *t = *state;
        const struct job_record *r;

        guest_knob(t, "client", "echo 'initvm: no such suite' >&2; exit 1");
        r = jobs_until(t, jobs_submit_text(t, "{\"command\":[\"true\"],\"suite\":\"none\"}"), JOB_FAILED);
        assert_int_equal(r->status, 125);
        assert_string_equal(r->message, "the chroot 'none-amd64' could not be made: no such suite");
        /* By somebody else, just then. */
        guest_knob(t, "client", "mkdir chroots/sid-amd64; echo 'initvm: there is one' >&2; exit 1");
        jobs_until(t, jobs_submit_text(t, "{\"command\":[\"true\"],\"suite\":\"sid\"}"), JOB_SUCCEEDED);
        assert_int_equal(guest_calls(t, "client "), 2);
}

static void test_chroot_again_after_a_loss(void **state)
{
        struct jobs_test *t = *state;

        guest_knob(t, "client", "echo 'initvm: the connection to the VM was lost' >&2; exit 3");
        jobs_until(t, jobs_submit_text(t, "{\"command\":[\"true\"],\"suite\":\"sid\"}"), JOB_SUCCEEDED);
        assert_int_equal(guest_calls(t, "client "), 2);
}

static void test_chroot_cancelled(void **state)
{
        struct jobs_test *t = *state;
        autofree char *gone = xasprintf("%s/guest/gone", t->folder);
        struct error err = ERROR_INIT;
        uint64_t id;

        guest_knob(t, "client",
                   "trap 'kill $!; touch gone; exit 143' TERM\n"
                   "echo '{\"stage\":\"extract\",\"state\":\"begin\",\"text\":\"extracting\"}'; sleep 1000 & wait");
        id = jobs_submit_text(t, "{\"command\":[\"true\"],\"suite\":\"sid\"}");
        jobs_until_event(t, id, "stage");
        assert_int_equal(jobs_cancel(t->jobs, jobs_find(t->jobs, id, NULL), &err), 0);
        jobs_until(t, id, JOB_CANCELLED);
        for (int i = 0; access(gone, F_OK) < 0 && i < 500; i++)
                jobs_run_for(t, 10);
        assert_return_code(access(gone, F_OK), 0);
}

/* ---- cancelling */

static void test_cancel(void **state)
{
        static const struct {
                const char *hang;
                enum job_state state;
        } cases[] = {
                {"hang.create", JOB_PREPARING},
                {"hang.start", JOB_RUNNING},
                {"hang.none", JOB_RUNNING},
                {"hang.artifacts", JOB_COLLECTING},
        };
        struct jobs_test *t = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                bool ends = cases[i].state == JOB_COLLECTING;
                uint64_t id;

                guest_knob(t, cases[i].hang, "");
                id = jobs_submit_text(t, ends ? "{\"script\":\"echo >a\",\"artifacts\":[\"a\"]}"
                                              : "{\"command\":[\"sleep\",\"1000\"]}");
                jobs_until(t, id, cases[i].state);
                if (streq(cases[i].hang, "hang.none")) {
                        jobs_until_event(t, id, "heartbeat");
                }
                assert_int_equal(jobs_cancel(t->jobs, jobs_find(t->jobs, id, NULL), NULL), 0);
                guest_knob(t, cases[i].hang, NULL);
                assert_int_equal(jobs_until(t, id, JOB_CANCELLED)->status, 130);
                assert_false(guest_has(t, id));
                assert_false(job_has_file(t, id, "artifacts.tar.part"));
                assert_int_equal(jobs_cancel(t->jobs, jobs_find(t->jobs, id, NULL), NULL), -1);
        }
}

static void test_cancel_queued(void **state)
{
        struct jobs_test *t = *state;
        uint64_t first, id;

        t->vm.cpus = 1;
        first = jobs_submit_text(t, "{\"command\":[\"sleep\",\"1000\"]}");
        id = jobs_submit_text(t, "{\"command\":[\"true\"]}");
        jobs_until(t, first, JOB_RUNNING);
        assert_int_equal(jobs_cancel(t->jobs, jobs_find(t->jobs, id, NULL), NULL), 0);
        assert_int_equal(job_get_record(jobs_find(t->jobs, id, NULL))->state, JOB_CANCELLED);
        assert_int_equal(guest_calls(t, "--job create 2 "), 0);
}

/* ---- afterwards */

static void test_retry_and_remove(void **state)
{
        struct jobs_test *t = *state;
        struct error err = ERROR_INIT;
        uint64_t id = jobs_submit_text(t, "{\"script\":\"exit 4\",\"keep\":true}");
        struct job *again;

        jobs_until(t, id, JOB_FAILED);
        assert_true(guest_has(t, id));
        assert_int_equal(jobs_retry(t->jobs, jobs_find(t->jobs, id, NULL), &again, &err), 0);
        assert_int_equal(job_get_record(again)->retry_of, id);
        assert_int_equal(jobs_remove(t->jobs, again, &err), -1);
        assert_int_equal(err.code, ERR_STATE);
        jobs_until(t, job_get_record(again)->id, JOB_FAILED);
        assert_int_equal(jobs_remove(t->jobs, jobs_find(t->jobs, id, NULL), &err), 0);
        assert_null(jobs_find(t->jobs, id, &err));
        assert_false(job_has_file(t, id, "job.json"));
        for (int i = 0; i < 500 && guest_has(t, id); i++)
                jobs_run_for(t, 20);
        assert_false(guest_has(t, id));
        /* Numbers are not used again. */
        assert_int_equal(jobs_submit_text(t, "{\"command\":[\"true\"]}"), 3);
}

/* A workspace whose job is removed while its VM is off goes when that is there again. */
static void test_remove_while_off(void **state)
{
        struct jobs_test *t = *state;
        uint64_t id = jobs_submit_text(t, "{\"script\":\"exit 4\"}"), next;

        jobs_until(t, id, JOB_FAILED);
        jobs_daemon_stop(t);
        job_vm_kill(&t->vm);
        jobs_daemon_begin(t);
        assert_int_equal(jobs_remove(t->jobs, jobs_find(t->jobs, id, NULL), NULL), 0);
        assert_true(guest_has(t, id));
        next = jobs_submit_text(t, "{\"script\":\"sleep 0.3\"}");
        jobs_until(t, next, JOB_SUCCEEDED);
        for (int i = 0; i < 500 && guest_has(t, id); i++)
                jobs_run_for(t, 20);
        assert_false(guest_has(t, id));
}

static void test_remains(void **state)
{
        struct jobs_test *t = *state;
        autofree char *left = xasprintf("%s/jobs/.new-left00", t->folder), *removed = xasprintf("%s/jobs/.removed-7", t->folder);
        autofree char *parent = xasprintf("%s/jobs", t->folder), *held = NULL;
        int lock;

        jobs_daemon_stop(t);
        assert_int_equal(mkdir(left, 0700), 0);
        assert_int_equal(mkdir(removed, 0700), 0);
        lock = new_folder_make(parent, &held, NULL);
        jobs_daemon_begin(t);
        assert_int_equal(access(left, F_OK), -1);
        assert_int_equal(access(removed, F_OK), -1);
        assert_int_equal(access(held, F_OK), 0); /* somebody is making it */
        close(lock);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, jobs_setup, jobs_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_succeeds),
                TEST(test_results),
                TEST(test_inputs_and_artifacts),
                TEST(test_spoiled_artifacts),
                TEST(test_order_and_slots),
                TEST(test_no_vm),
                TEST(test_chroot_is_made_once),
                TEST(test_chroot_is_not_made),
                TEST(test_chroot_again_after_a_loss),
                TEST(test_chroot_cancelled),
                TEST(test_cancel),
                TEST(test_cancel_queued),
                TEST(test_retry_and_remove),
                TEST(test_remove_while_off),
                TEST(test_remains),
        };

        return cmocka_run_group_tests_name("jobs", tests, NULL, NULL);
}
