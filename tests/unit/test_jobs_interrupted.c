/* SPDX-License-Identifier: MIT */
/* Build jobs whose daemon, connection, VM or helper ends in the middle: each is left in a true state, and goes on where it can.
 */
#include "jobs_fixture.h"

#include "base/file.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what ends in the middle */

#define NUMBERS "{\"script\":\"i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; test $i != 150 || sleep 0.5; done\"}"

static char *numbers(void)
{
        struct buf b = {0};

        for (int i = 1; i <= 300; i++)
                buf_printf(&b, "line %d\n", i);
        return buf_take_string(&b);
}

/* Until something of the job's output is here. */
static void until_log(struct jobs_test *t, uint64_t id)
{
        autofree char *log = job_file(t, id, "log");
        struct stat st = {0};

        for (int i = 0; i < 500 && (stat(log, &st) < 0 || st.st_size == 0); i++)
                jobs_run_for(t, 20);
        assert_true(st.st_size > 0);
}

static void test_daemon_ends(void **state)
{
        static const char *const hangs[] = {"hang.create", "hang.start", "hang.none", "hang.artifacts", "hang.remove"};
        struct jobs_test *t = *state;
        autofree char *lines = numbers();

        for (size_t i = 0; i < ARRAY_SIZE(hangs); i++) {
                enum job_state state_then = i == 0 ? JOB_PREPARING : i < 3 ? JOB_RUNNING : JOB_COLLECTING;
                uint64_t id;

                guest_knob(t, hangs[i], "");
                id = jobs_submit_text(
                        t, "{\"script\":\"i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; test $i != 150 || sleep 0.5; "
                           "done; echo >a\",\"artifacts\":[\"a\"]}");
                jobs_until(t, id, state_then);
                if (i == 2)
                        until_log(t, id);
                jobs_daemon_stop(t);
                guest_knob(t, hangs[i], NULL);
                jobs_daemon_begin(t);
                jobs_until(t, id, JOB_SUCCEEDED);
                assert_job_log(t, id, lines);
                assert_true(job_has_file(t, id, "artifacts.tar"));
                assert_false(guest_has(t, id));
        }
        assert_int_equal(t->vm.starts, 1);
}

/* The guest has removed its workspace, and the daemon or the VM ends before that was heard: what is on the host is enough. */
static void test_ends_while_workspace_goes(void **state)
{
        struct jobs_test *t = *state;

        for (int vm_ends = 0; vm_ends < 2; vm_ends++) {
                unsigned removed = guest_calls(t, "--job remove");
                uint64_t id;

                guest_knob(t, "hang.remove", "");
                id = jobs_submit_text(t, "{\"script\":\"echo >a\",\"artifacts\":[\"a\"]}");
                jobs_until(t, id, JOB_COLLECTING);
                for (int i = 0; i < 500 && guest_calls(t, "--job remove") == removed; i++)
                        jobs_run_for(t, 20);
                autofree char *workspace = xasprintf("%s/guest/jobs/%llu", t->folder, (unsigned long long)id);
                assert_return_code(tree_remove(workspace, NULL), 0);
                if (vm_ends)
                        job_vm_kill(&t->vm);
                else
                        jobs_daemon_stop(t);
                guest_knob(t, "hang.remove", NULL);
                if (!vm_ends)
                        jobs_daemon_begin(t);
                assert_int_equal(jobs_until(t, id, JOB_SUCCEEDED)->status, 0);
                assert_true(job_has_file(t, id, "artifacts.tar"));
        }
}

static void test_connection_is_lost(void **state)
{
        struct jobs_test *t = *state;
        autofree char *lines = numbers();
        uint64_t id = jobs_submit_text(t, NUMBERS);

        until_log(t, id);
        guest_knob(t, "drop", ""); /* the guest closes its port, and goes on */
        jobs_until(t, id, JOB_SUCCEEDED);
        assert_job_log(t, id, lines);
        assert_true(guest_calls(t, "--job follow") >= 2);
        assert_int_equal(guest_calls(t, "--job start"), 1);
}

static void test_vm_ends(void **state)
{
        struct jobs_test *t = *state;
        uint64_t running, prepared;

        running = jobs_submit_text(t, "{\"command\":[\"sleep\",\"1000\"]}");
        jobs_until(t, running, JOB_RUNNING);
        guest_knob(t, "hang.create", "");
        prepared = jobs_submit_text(t, "{\"command\":[\"true\"]}");
        jobs_until(t, prepared, JOB_PREPARING);
        jobs_run_for(t, 200);
        job_vm_kill(&t->vm);
        guest_knob(t, "hang.create", NULL);
        assert_int_equal(jobs_until(t, running, JOB_LOST)->status, 125);
        jobs_until(t, prepared, JOB_SUCCEEDED); /* it had not begun: the VM was started again for it */
        assert_int_equal(t->vm.starts, 2);
        assert_int_equal(guest_calls(t, "--job start 1 "), 1);
}

static void test_lost_is_retried(void **state)
{
        struct jobs_test *t = *state;
        autofree char *guest = xasprintf("%s/flag", t->folder), *spec = NULL;
        const struct job_record *r;
        uint64_t id;

        spec = xasprintf("{\"script\":\"echo begun; test -e %s && exit 0; touch %s; exec sleep 1000\",\"retryLost\":1}", guest,
                         guest);
        id = jobs_submit_text(t, spec);
        jobs_until(t, id, JOB_RUNNING);
        for (int i = 0; i < 500 && access(guest, F_OK) < 0; i++)
                jobs_run_for(t, 20);
        jobs_run_for(t, 200);
        job_vm_kill(&t->vm);
        r = jobs_until(t, id, JOB_SUCCEEDED);
        assert_int_equal(r->attempt, 2);
        assert_true(r->log_base > strlen("begun\n"));
        assert_int_equal(guest_calls(t, "--job start 1 "), 2);
}

static void test_vm_and_daemon_end(void **state)
{
        struct jobs_test *t = *state;
        uint64_t id = jobs_submit_text(t, "{\"command\":[\"sleep\",\"1000\"]}");

        jobs_until(t, id, JOB_RUNNING);
        jobs_daemon_stop(t);
        job_vm_kill(&t->vm);
        jobs_daemon_begin(t);
        jobs_until(t, id, JOB_LOST);
}

/* The disk was reset, or is another one: a job with the same number there is not this one. */
static void test_other_token(void **state)
{
        struct jobs_test *t = *state;
        autofree char *token = xasprintf("%s/guest/jobs/1/token", t->folder);
        uint64_t id = jobs_submit_text(t, "{\"command\":[\"sleep\",\"1000\"]}");

        jobs_until(t, id, JOB_RUNNING);
        jobs_run_for(t, 200);
        jobs_daemon_stop(t);
        assert_int_equal(file_write_atomic(token, 0600, "other", 5, NULL), 0);
        jobs_daemon_begin(t);
        jobs_until(t, id, JOB_LOST);
}

static void test_helper_fails(void **state)
{
        struct jobs_test *t = *state;
        const struct job_record *r;
        uint64_t id;

        guest_knob(t, "fail.create", "NoSpace the VM's disk is full");
        id = jobs_submit_text(t, "{\"command\":[\"true\"]}");
        r = jobs_until(t, id, JOB_FAILED);
        assert_int_equal(r->status, 125);
        assert_string_equal(r->message, "the VM's disk is full");
}

/* What has not begun goes on in the VM that is started again, as long as that does not end each time. */
static void test_vm_ends_while_waited_for(void **state)
{
        struct jobs_test *t = *state;
        const struct job_record *r;

        t->vm.endings = 2;
        jobs_until(t, jobs_submit_text(t, "{\"command\":[\"true\"]}"), JOB_SUCCEEDED);
        assert_int_equal(t->vm.endings, 0);
        t->vm.endings = 100;
        r = jobs_until(t, jobs_submit_text(t, "{\"command\":[\"true\"]}"), JOB_FAILED);
        assert_int_equal(r->status, 125);
        assert_non_null(strstr(r->message, "has ended meanwhile: it was killed"));
}

/* What nobody can follow is ended there, and what nobody can tell of is lost. */
static void test_given_up(void **state)
{
        static const struct {
                const char *knob;
                enum job_state state;
                bool cancelled;
        } cases[] = {
                {"fail.start", JOB_FAILED, true},      {"fail.follow", JOB_FAILED, true},    {"fail.status", JOB_LOST, false},
                {"fail.remove", JOB_SUCCEEDED, false}, {"fail.times", JOB_SUCCEEDED, false},
        };
        struct jobs_test *t = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                bool ends = cases[i].state == JOB_SUCCEEDED;
                unsigned before = guest_calls(t, "--job cancel");
                const struct job_record *r;
                uint64_t id;

                guest_knob(t, cases[i].knob, "Failed it does not want to");
                id = jobs_submit_text(t, ends ? "{\"command\":[\"true\"]}" : "{\"script\":\"echo a; exit 1\"}");
                r = jobs_until(t, id, cases[i].state);
                assert_int_equal(r->status, ends ? 0 : 125);
                if (!ends)
                        assert_string_equal(r->message, "it does not want to");
                assert_int_equal(guest_calls(t, "--job cancel") - before, cases[i].cancelled);
                guest_knob(t, cases[i].knob, NULL);
        }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, jobs_setup, jobs_teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_vm_ends_while_waited_for),
                TEST(test_daemon_ends),
                TEST(test_ends_while_workspace_goes),
                TEST(test_connection_is_lost),
                TEST(test_vm_ends),
                TEST(test_lost_is_retried),
                TEST(test_vm_and_daemon_end),
                TEST(test_other_token),
                TEST(test_helper_fails),
                TEST(test_given_up),
        };

        return cmocka_run_group_tests_name("jobs_interrupted", tests, NULL, NULL);
}
