/* SPDX-License-Identifier: MIT */
#include "daemon/record.h"

#include "base/file.h"
#include "base/util.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static void assert_same(const char *a, const char *b)
{
        if (a && b)
                assert_string_equal(a, b);
        else
                assert_true(!a && !b);
}

static void test_round_trip(void **state)
{
        const struct vm_record records[] = {
                {
                        .name = (char *)"build-1",
                        .uuid = (char *)"6d1f3f5e-5b3c-4c53-9a58-0c1a3a3f2b11",
                        .image = (char *)"debian-13",
                        .suite = (char *)"trixie",
                        .architecture = (char *)"amd64",
                        .hostname = (char *)"host",
                        .command_line = (char *)"root=UUID=1 ro \"x\" \\ \xc3\xa4",
                        .acceleration = (char *)"auto",
                        .channel = (char *)"ssh",
                        .ssh_forward = true,
                        .ssh_port = 2222,
                        .memory = UINT64_C(4) << 30,
                        .cpus = 3,
                        .size = UINT64_C(1) << 62,
                        .created = 1700000000,
                        .boot_folder = (char *)"boot-1",
                        .boot_id = (char *)"6.12.1-amd64 1@2 3@4",
                        .reason = (char *)"crashed:\nlast words",
                        .started = 1700000001,
                },
                {
                        .name = (char *)"",
                        .uuid = (char *)"",
                        .image = (char *)"",
                        .suite = (char *)"",
                        .architecture = (char *)"",
                        .command_line = (char *)"",
                        .acceleration = (char *)"",
                        .size = UINT64_MAX,
                },
        };
        struct error err = ERROR_INIT;
        struct stat st;
        autofree char *path = scratch_path(state, "vm.json");

        for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
                const struct vm_record *r = &records[i];
                struct vm_record n;

                assert_int_equal(vm_record_save(r, *state, &err), 0);
                assert_int_equal(stat(path, &st), 0);
                assert_int_equal(st.st_mode & 0777, 0600);
                assert_int_equal(vm_record_load(&n, *state, &err), 0);
                assert_same(n.name, r->name);
                assert_same(n.uuid, r->uuid);
                assert_same(n.image, r->image);
                assert_same(n.suite, r->suite);
                assert_same(n.architecture, r->architecture);
                assert_same(n.hostname, r->hostname);
                assert_same(n.command_line, r->command_line);
                assert_same(n.acceleration, r->acceleration);
                assert_same(n.boot_folder, r->boot_folder);
                assert_same(n.boot_id, r->boot_id);
                assert_same(n.reason, r->reason);
                assert_same(n.channel, r->channel);
                assert_true(n.ssh_forward == r->ssh_forward && n.ssh_port == r->ssh_port);
                assert_int_equal(vm_record_by_ssh(&n), i == 0);
                assert_true(n.memory == r->memory && n.cpus == r->cpus && n.size == r->size && n.created == r->created &&
                            n.started == r->started);
                vm_record_done(&n);
                assert_null(n.name);
        }
}

/* What a guest or QEMU wrote may be a part of the reason: the record must stay readable whatever it is. */
static void test_reason_of_any_bytes(void **state)
{
        struct vm_record n, r = {.name = (char *)"n",
                                 .uuid = (char *)"u",
                                 .image = (char *)"i",
                                 .suite = (char *)"s",
                                 .architecture = (char *)"a",
                                 .command_line = (char *)"c",
                                 .acceleration = (char *)"auto",
                                 .reason = (char *)"qemu: \xff\xfe\x01"};
        struct error err = ERROR_INIT;

        assert_int_equal(vm_record_save(&r, *state, &err), 0);
        if (vm_record_load(&n, *state, &err) < 0)
                fail_msg("%s", err.message);
        assert_string_equal(n.reason, "qemu: \xef\xbf\xbd\xef\xbf\xbd\x01");
        vm_record_done(&n);
}

#define START "{\"name\":\"n\",\"uuid\":\"u\",\"image\":\"i\",\"suite\":\"s\",\"architecture\":\"a\",\"commandLine\":\"c\""
#define REST  ",\"acceleration\":\"auto\",\"memory\":1,\"cpus\":1,\"size\":1,\"created\":1"

static void test_broken(void **state)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
                {"", "not valid JSON at byte 0"},
                {START, "not valid JSON at byte"}, /* cut */
                {"[]", "must be a JSON object"},
                {"null", "there is only null"},
                {START "}", "'acceleration' is missing"},
                {START REST ",\"memory\":2}", "the key 'memory' is there twice"},
                {START REST ",\"hostname\":7}", "'hostname' must be a string"},
                {START REST ",\"started\":-1}", "'started' must be a number of 0 or more"},
                {START REST ",\"colour\":\"red\"}", "'colour' is not a known field"},
                {START ",\"acceleration\":\"auto\",\"memory\":\"1G\",\"cpus\":1,\"size\":1,\"created\":1}",
                 "'memory' must be a number of 0 or more"},
                {START ",\"acceleration\":\"auto\",\"memory\":1,\"cpus\":1,\"created\":1}", "'size' is missing"},
        };
        autofree char *good = scratch_file(state, "vm.json", START REST "}", strlen(START REST "}"), 0600);
        struct vm_record r;
        struct error err = ERROR_INIT;

        assert_int_equal(vm_record_load(&r, *state, &err), 0);
        vm_record_done(&r);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *path = scratch_file(state, "vm.json", cases[i].text, strlen(cases[i].text), 0600);

                assert_int_equal(vm_record_load(&r, *state, &err), -1);
                assert_int_equal(err.code, ERR_INVALID);
                if (!strstr(err.message, path) || !strstr(err.message, cases[i].says))
                        fail_msg("'%s' does not say '%s'", err.message, cases[i].says);
        }
}

static void test_missing(void **state)
{
        autofree char *folder = scratch_path(state, "nowhere");
        struct vm_record r = {.name = (char *)"n"};
        struct error err = ERROR_INIT;

        assert_int_equal(vm_record_load(&r, folder, &err), -1);
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_int_equal(vm_record_save(&r, folder, &err), -1);
        assert_non_null(strstr(err.message, folder));
        r = (struct vm_record){0};
        vm_record_done(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_round_trip, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_reason_of_any_bytes, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_broken, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_missing, scratch_setup, scratch_teardown),
        };

        return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
