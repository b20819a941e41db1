/* SPDX-License-Identifier: MIT */
/* A job's description, and the unit that is made of it. */
#include "base/util.h"
#include "job/job.h"
#include "job/spec.h"
#include "job/unit.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int read_text(const char *text, struct spec *ret, struct error *err)
{
        return spec_read(json_parse(text, strlen(text), err), ret, err);
}

static void test_all(void **state)
{
        autospec struct spec s = {0};
        struct error err = ERROR_INIT;
        (void)state;

        if (read_text("{\"name\": \"n\", \"command\": [\"a\", \"b c\"], \"chroot\": \"box\", \"user\": \"eve\", \"environment\": "
                      "{\"A\": \"b=c\"}, \"packages\": [\"git\"], \"artifacts\": [\"*.deb\"], \"allowEmpty\": true, \"limits\": "
                      "{\"timeout\": 1, \"silenceTimeout\": 2, \"memory\": 3, \"cpus\": 1.5, \"log\": 4, \"disk\": 5, "
                      "\"future\": 5}, "
                      "\"network\": false, \"inputs\": true, \"future\": {}}",
                      &s, &err) < 0)
                fail_msg("%s", err.message);
        assert_string_equal(s.name, "n");
        assert_string_equal(s.command[1], "b c");
        assert_string_equal(s.chroot, "box");
        assert_string_equal(s.user, "eve");
        assert_string_equal(s.environment[0], "A=b=c");
        assert_string_equal(s.packages[0], "git");
        assert_string_equal(s.artifacts[0], "*.deb");
        assert_true(s.allow_empty && s.inputs && !s.network);
        assert_true(s.timeout_ms == 1 && s.silence_ms == 2 && s.memory == 3 && s.cpu_percent == 150 && s.log == 4 && s.disk == 5);
}

static void test_absent(void **state)
{
        autospec struct spec s = {0}, package = {0};
        struct error err = ERROR_INIT;
        (void)state;

        assert_int_equal(read_text("{\"script\": \"true\"}", &s, &err), 0);
        assert_string_equal(s.script, "true");
        assert_null(s.command);
        assert_true(s.network && !s.inputs && !s.allow_empty);
        assert_true(s.timeout_ms == 0 && s.memory == 0 && s.cpu_percent == 0 && s.log == SPEC_LOG_DEFAULT);
        assert_int_equal(read_text("{\"package\": {\"dsc\": \"a_1.dsc\"}, \"chroot\": \"box\"}", &package, &err), 0);
        assert_string_equal(package.package_dsc, "a_1.dsc");
        assert_true(strv_contains(package.artifacts, "*.deb") && strv_contains(package.artifacts, "*.changes"));
}

static void test_refused(void **state)
{
        static const char *const cases[][2] = {
                {"{}", "one of"},
                {"[]", "not an object"},
                {"{\"command\": []}", "one of"},
                {"{\"command\": \"ls\"}", "'command'"},
                {"{\"command\": [\"a\"], \"script\": \"b\"}", "one of"},
                {"{\"command\": [\"a\"], \"network\": \"no\"}", "'network'"},
                {"{\"command\": [\"a\"], \"environment\": {\"A\": 1}}", "'environment.A'"},
                {"{\"command\": [\"a\"], \"environment\": {\"A=B\": \"\"}}", "name of a variable"},
                {"{\"command\": [\"a\"], \"limits\": {\"timeout\": \"1h\"}}", "'limits'"},
                {"{\"command\": [\"a\"], \"limits\": {\"cpus\": \"2\"}}", "'limits.cpus'"},
                {"{\"command\": [\"a\"], \"limits\": {\"cpus\": 0}}", "'limits.cpus'"},
                {"{\"command\": [\"a\"], \"limits\": {\"cpus\": 1e300}}", "'limits.cpus'"},
                {"{\"command\": [\"a\"], \"packages\": [\"b\"]}", "'packages' needs a 'chroot'"},
                {"{\"command\": [\"a\"], \"chroot\": \"c\", \"packages\": [\"-o\"]}", "not a package's name"},
                {"{\"package\": {\"dsc\": \"a\"}}", "'package' needs a 'chroot'"},
                {"{\"package\": {}, \"chroot\": \"c\"}", "one of 'dsc' and 'folder'"},
                {"{\"package\": {\"dsc\": \"a\", \"folder\": \"b\"}, \"chroot\": \"c\"}", "one of 'dsc' and 'folder'"},
                {"{\"package\": {\"dsc\": \"../a\"}, \"chroot\": \"c\"}", "'package.dsc'"},
                {"{\"package\": {\"folder\": \"-x\"}, \"chroot\": \"c\"}", "'package.folder'"},
                {"{", "description"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autospec struct spec s = {0};
                struct error err = ERROR_INIT;

                if (read_text(cases[i][0], &s, &err) == 0)
                        fail_msg("taken: %s", cases[i][0]);
                assert_int_equal(err.code, ERR_INVALID);
                if (!strstr(err.message, cases[i][1]))
                        fail_msg("%s: '%s' does not say %s", cases[i][0], err.message, cases[i][1]);
        }
}

static char *unit_of(const char *text)
{
        struct jobs jobs = {.folder = (char *)"/s/jobs", .cgroup = (char *)"/c"};
        autojob struct job job = JOB_INIT;
        autospec struct spec s = {0};
        autostrv char **argv = NULL;
        struct error err = ERROR_INIT;

        assert_int_equal(job_find(&jobs, "7", NULL, &job, &err), 0);
        assert_int_equal(read_text(text, &s, &err), 0);
        argv = unit_start_argv(&job, &s, "/usr/lib/a b");
        return strv_join(argv, "|");
}

static void test_unit(void **state)
{
        autofree char *plain = unit_of("{\"script\": \"a\"}");
        autofree char *limited =
                unit_of("{\"script\": \"a\", \"limits\": {\"timeout\": 1500, \"silenceTimeout\": 20, \"memory\": "
                        "4096, \"cpus\": 0.25, \"disk\": 9}}");
        (void)state;

        assert_non_null(strstr(plain, "|--unit=initvm-job-7.service|"));
        assert_non_null(strstr(plain, "|--property=ExecStopPost=\"/usr/lib/a b\" --job-end 7|--|/usr/lib/a b|--job-main|7"));
        assert_non_null(strstr(plain, "|--property=KillMode=mixed|"));
        assert_null(strstr(plain, "WatchdogSec"));
        assert_null(strstr(plain, "RuntimeMaxSec"));
        assert_null(strstr(plain, "MemoryMax"));
        assert_null(strstr(plain, "CPUQuota"));
        assert_null(strstr(plain, "CapabilityBoundingSet"));
        assert_non_null(strstr(limited, "|--property=RuntimeMaxSec=1500ms|"));
        assert_non_null(strstr(limited, "|--property=WatchdogSec=20ms|--property=WatchdogSignal=SIGTERM|"));
        assert_non_null(strstr(limited, "|--property=MemoryMax=4096|--property=MemorySwapMax=0|"));
        assert_non_null(strstr(limited, "|--property=CPUQuota=25%|"));
        assert_non_null(strstr(limited, "|--property=CapabilityBoundingSet=~CAP_SYS_RESOURCE|"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all),
                cmocka_unit_test(test_absent),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_unit),
        };

        return cmocka_run_group_tests_name("job_spec", tests, NULL, NULL);
}
