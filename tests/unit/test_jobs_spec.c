/* SPDX-License-Identifier: MIT */
/* What a build job may be, what the guest gets of it, and what its result means. */
#include "base/util.h"
#include "daemon/job_state.h"
#include "wire/job_spec.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static struct json_object *parse(const char *text)
{
        struct json_object *o = json_parse(text, strlen(text), NULL);

        assert_non_null(o);
        return o;
}

static void test_refused(void **state)
{
        static const struct {
                const char *spec, *text;
        } cases[] = {
                {"{}", "one of 'command'"},
                {"{\"command\":[\"a\"],\"script\":\"b\"}", "only one"},
                {"{\"command\":[]}", "'command'"},
                {"{\"command\":\"make\"}", "'command' must be an array of strings"},
                {"{\"command\":[\"a\"],\"colour\":1}", "'colour' is not a known field"},
                {"{\"command\":[\"a\"],\"limits\":{\"timeout\":\"1h\"}}", "'limits': 'timeout' must be a number"},
                {"{\"command\":[\"a\"],\"limits\":{\"cpus\":-1}}", "'cpus'"},
                {"{\"command\":[\"a\"],\"environment\":{\"A\":1}}", "'A' must be a string"},
                {"{\"command\":[\"a\"],\"artifacts\":[\"/etc/passwd\"]}", "'/etc/passwd'"},
                {"{\"command\":[\"a\"],\"artifacts\":[\"a/../../b\"]}", "without '..'"},
                {"{\"command\":[\"a\"],\"labels\":[\"a\\u0007\"]}", "'labels'"},
                {"{\"command\":[\"a\"],\"chroot\":\"-x\"}", "'chroot'"},
                {"{\"command\":[\"a\"],\"chroot\":\"x\",\"suite\":\"y\"}", "excludes"},
                {"{\"command\":[\"a\"],\"priority\":0}", "'priority'"},
                {"{\"command\":[\"a\"],\"packages\":[\"gcc\"]}", "'packages'"},
                {"{\"package\":{\"dsc\":\"../a.dsc\"}}", "'package'"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autojson struct json_object *o = parse(cases[i].spec);
                struct error err = ERROR_INIT;
                struct job_spec s;

                assert_int_equal(job_spec_read(o, &s, &err), -1);
                assert_int_equal(err.code, ERR_INVALID);
                if (!strstr(err.message, cases[i].text))
                        fail_msg("'%s' does not say %s", err.message, cases[i].text);
        }
}

/* Each field arrives, and those that are the host's stay here. */
static void test_for_guest(void **state)
{
        autojson struct json_object *o = parse(
                "{\"name\":\"n\",\"vm\":\"v\",\"script\":\"s\",\"architecture\":\"armhf\",\"user\":\"u\",\"environment\":{\"A\":"
                "\"1\"},"
                "\"packages\":[\"gcc\"],\"inputs\":[\"/x\"],\"artifacts\":[\"*.deb\"],\"labels\":[\"l\"],\"allowEmpty\":true,"
                "\"network\":false,\"keep\":true,\"limits\":{\"timeout\":1,\"silenceTimeout\":2,\"memory\":3,\"disk\":4,\"log\":"
                "5,"
                "\"cpus\":1.5},\"priority\":7,\"retryLost\":1,\"output\":\"o\"}");
        autojson struct json_object *guest = NULL;
        struct error err = ERROR_INIT;
        struct job_spec s;

        (void)state;
        if (job_spec_read(o, &s, &err) < 0)
                fail_msg("%s", err.message);
        assert_int_equal(s.priority, 7);
        assert_int_equal(s.retry_lost, 1);
        assert_true(s.keep);
        guest = job_spec_for_guest(&s, 12, "0123", "sid-armhf", true);
        assert_string_equal(
                json_line(guest),
                "{\"id\":12,\"token\":\"0123\",\"name\":\"n\",\"script\":\"s\",\"chroot\":\"sid-armhf\",\"user\":\"u\","
                "\"environment\":{\"A\":\"1\"},\"packages\":[\"gcc\"],\"artifacts\":[\"*.deb\"],\"allowEmpty\":true,\"limits\":"
                "{\"timeout\":1,\"silenceTimeout\":2,\"memory\":3,\"disk\":4,\"log\":5,\"cpus\":1.5},\"network\":false,"
                "\"inputs\":true}");
}

static void test_names(void **state)
{
        static const struct {
                const char *spec, *name;
        } cases[] = {
                {"{\"command\":[\"/usr/bin/make\",\"all\"]}", "make"},
                {"{\"script\":\"true\"}", "script"},
                {"{\"package\":{\"dsc\":\"hello_1.dsc\"}}", "hello_1.dsc"},
                {"{\"command\":[\"a\\u0001\"]}", "a?"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autojson struct json_object *o = parse(cases[i].spec);
                struct job_spec s;

                assert_int_equal(job_spec_read(o, &s, NULL), 0);
                autofree char *name = job_spec_name(&s);
                assert_string_equal(name, cases[i].name);
        }
}

static void test_results(void **state)
{
        static const struct {
                const char *result;
                enum job_state state;
                unsigned status;
        } cases[] = {
                {"{\"result\":\"exited\",\"status\":0}", JOB_SUCCEEDED, 0},
                {"{\"result\":\"exited\",\"status\":3}", JOB_FAILED, 3},
                {"{\"result\":\"exited\"}", JOB_FAILED, 125},
                {"{\"result\":\"signaled\",\"status\":15}", JOB_FAILED, 143},
                {"{\"result\":\"timeout\",\"status\":0}", JOB_TIMED_OUT, 124},
                {"{\"result\":\"silence\",\"status\":1}", JOB_TIMED_OUT, 124},
                {"{\"result\":\"oom\",\"status\":0}", JOB_FAILED, 137},
                {"{\"result\":\"disk-full\",\"status\":2}", JOB_FAILED, 2},
                {"{\"result\":\"disk-full\",\"status\":0}", JOB_FAILED, 1},
                {"{\"result\":\"cancelled\",\"status\":0}", JOB_CANCELLED, 130},
                {"{\"result\":\"no-command\",\"status\":0}", JOB_FAILED, 127},
                {"{\"result\":\"not-executable\",\"status\":0}", JOB_FAILED, 126},
                {"{\"result\":\"chroot\",\"status\":0}", JOB_FAILED, 125},
                {"{\"result\":\"machine\",\"status\":0}", JOB_LOST, 125},
                {"{\"result\":\"something new\",\"status\":0}", JOB_FAILED, 125},
                {"{}", JOB_FAILED, 125},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autojson struct json_object *o = parse(cases[i].result);
                enum job_state s;
                unsigned status;

                job_state_of_result(o, &s, &status);
                assert_int_equal(s, cases[i].state);
                assert_int_equal(status, cases[i].status);
        }
}

/* What has ended stays so; and every other state has a way to each end that may come. */
static void test_states(void **state)
{
        (void)state;
        for (int from = 0; from < _JOB_STATE_MAX; from++) {
                enum job_state found;

                assert_int_equal(job_state_from_name(job_state_text((enum job_state)from), &found), 0);
                assert_int_equal(found, from);
                for (int to = 0; to < _JOB_STATE_MAX; to++)
                        if (job_state_final((enum job_state)from))
                                assert_false(job_state_may_follow((enum job_state)from, (enum job_state)to));
                if (!job_state_final((enum job_state)from))
                        assert_true(job_state_may_follow((enum job_state)from, JOB_CANCELLED) &&
                                    job_state_may_follow((enum job_state)from, JOB_FAILED));
        }
        assert_false(job_state_may_follow(JOB_QUEUED, JOB_RUNNING));
        assert_false(job_state_may_follow(JOB_PREPARING, JOB_LOST)); /* it had not begun */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refused), cmocka_unit_test(test_for_guest), cmocka_unit_test(test_names),
                cmocka_unit_test(test_results), cmocka_unit_test(test_states),
        };

        return cmocka_run_group_tests_name("jobs_spec", tests, NULL, NULL);
}
