/* SPDX-License-Identifier: MIT */
#include "daemon/disk_lock.h"
#include "daemon/disk_size.h"
#include "daemon/snapshot_boot.h"
#include "daemon/vm_boot.h"

#include "base/file.h"
#include "base/json.h"
#include "base/util.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void write_files(const char *folder, const char *text)
{
        for (const char *const *name = (const char *const[]){"kernel", "initrd", NULL}; *name; name++) {
                autofree char *path = xasprintf("%s/%s", folder, *name);

                assert_return_code(file_write_atomic(path, 0600, text, strlen(text), NULL), 0);
        }
}

static void assert_kernel(const struct vm_record *r, const char *folder, const char *text)
{
        autofree char *boot = boot_folder(r, folder), *path = xasprintf("%s/kernel", boot);
        autofree char *content = file_read(path, 1024, NULL, NULL);

        assert_non_null(content);
        assert_string_equal(content, text);
}

static void test_restored(void **state)
{
        const char *folder = *state;
        struct vm_record r = {.name = (char *)"a", .command_line = (char *)"ro", .boot_id = xstrdup("first")};
        struct error err = ERROR_INIT;

        write_files(folder, "first");
        assert_return_code(snapshot_boot_keep(&r, folder, "one", &err), 0);
        write_files(folder, "second");
        free(r.boot_id);
        r.boot_id = xstrdup("second");
        assert_kernel(&r, folder, "second");
        snapshot_boot_restore(&r, folder, "one");
        assert_kernel(&r, folder, "first");
        assert_string_equal(r.boot_id, "first");

        /* The snapshot is another link: it outlives what was restored. */
        boot_remove_left(&(struct vm_record){0}, folder);
        snapshot_boot_restore(&r, folder, "one");
        assert_kernel(&r, folder, "first");
        free(r.boot_id);
        free(r.boot_folder);
}

/* For a name that is taken: those of the snapshot that is there stay, until initvm-image has seen that it is gone. */
static void test_prepared(void **state)
{
        const char *folder = *state;
        struct vm_record r = {.name = (char *)"a", .command_line = (char *)"ro"};

        write_files(folder, "first");
        assert_return_code(snapshot_boot_keep(&r, folder, "one", NULL), 0);
        write_files(folder, "second");
        assert_return_code(snapshot_boot_prepare(&r, folder, "one", NULL), 0);
        snapshot_boot_unprepare(folder, "one");
        assert_return_code(snapshot_boot_prepare(&r, folder, "one", NULL), 0);
        snapshot_boot_restore(&r, folder, "one");
        assert_kernel(&r, folder, "first");
        free(take_ptr(r.boot_folder));
        snapshot_boot_restore(&r, folder, ".new-one");
        assert_kernel(&r, folder, "second");
        free(r.boot_folder);
}

static void test_kept_anew(void **state)
{
        const char *folder = *state;
        struct vm_record r = {.name = (char *)"a", .command_line = (char *)"ro"};

        write_files(folder, "of a snapshot that is gone");
        assert_return_code(snapshot_boot_keep(&r, folder, "one", NULL), 0);
        write_files(folder, "new");
        assert_return_code(snapshot_boot_keep(&r, folder, "one", NULL), 0);
        snapshot_boot_restore(&r, folder, "one");
        assert_kernel(&r, folder, "new");
        free(r.boot_folder);
}

static void test_swept(void **state)
{
        static const char text[] = "[{\"name\":\"one\"},{\"name\":\"two\"}]";
        const char *folder = *state;
        struct vm_record r = {.name = (char *)"a", .command_line = (char *)"ro"};
        autojson struct json_object *snapshots = json_parse(text, strlen(text), NULL);

        snapshot_boot_sweep(folder, snapshots); /* nothing was ever kept */
        write_files(folder, "first");
        for (const char *const *name = (const char *const[]){"one", "three", "two", NULL}; *name; name++)
                assert_return_code(snapshot_boot_keep(&r, folder, *name, NULL), 0);
        assert_return_code(snapshot_boot_prepare(&r, folder, "one", NULL), 0);
        snapshot_boot_sweep(folder, snapshots);
        for (const char *const *name = (const char *const[]){"one", "two", NULL}; *name; name++) {
                autofree char *path = xasprintf("%s/snapshots/%s/kernel", folder, *name);

                assert_return_code(access(path, F_OK), 0);
        }
        for (const char *const *name = (const char *const[]){"three", ".new-one", NULL}; *name; name++) {
                autofree char *path = xasprintf("%s/snapshots/%s", folder, *name);

                assert_int_equal(access(path, F_OK), -1);
        }
}

static void test_lost(void **state)
{
        const char *folder = *state;
        struct vm_record r = {.name = (char *)"a", .command_line = (char *)"ro"};
        autojson struct json_object *none = json_parse("[]", 2, NULL);

        write_files(folder, "own");
        assert_return_code(snapshot_boot_keep(&r, folder, "one", NULL), 0);
        snapshot_boot_sweep(folder, none);
        snapshot_boot_restore(&r, folder, "one");
        assert_null(r.boot_folder);
        assert_kernel(&r, folder, "own");
}

static void test_lock(void **state)
{
        const char *folder = *state;
        struct error err = ERROR_INIT;
        int first = disk_lock(folder, "a", &err), copy;

        assert_true(first >= 0);
        copy = dup(first); /* as a child has it */
        assert_true(disk_lock(folder, "a", &err) < 0);
        assert_int_equal(err.code, ERR_STATE);
        close(first);
        assert_int_equal(disk_lock_check(folder, "a", &err), -1);
        close(copy);
        assert_return_code(disk_lock_check(folder, "a", &err), 0);
}

static void test_size(void **state)
{
        /* The first 32 bytes of an image of 5 GiB. */
        static const char header[] = "QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0\0\0\1\x40\0\0\0";
        const char *folder = *state;
        autofree char *path = xasprintf("%s/buildenv.img", folder);

        assert_int_equal(disk_size(folder), 0);
        assert_return_code(file_write_atomic(path, 0600, header, 31, NULL), 0);
        assert_int_equal(disk_size(folder), 0);
        assert_return_code(file_write_atomic(path, 0600, header, 32, NULL), 0);
        assert_int_equal(disk_size(folder), 5ull << 30);
        assert_return_code(
                file_write_atomic(path, 0600, "QFI\0\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0\0\0\1\x40\0\0\0", 32, NULL), 0);
        assert_int_equal(disk_size(folder), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_restored, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_prepared, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_kept_anew, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_swept, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_lost, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_lock, scratch_setup, scratch_teardown),
                cmocka_unit_test_setup_teardown(test_size, scratch_setup, scratch_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
