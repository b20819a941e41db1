/* SPDX-License-Identifier: MIT */
/* An import that was interrupted at any point: disk and kernel are both the old ones or both the new ones. */
#include "daemon/import.h"

#include "base/file.h"
#include "base/util.h"
#include "daemon/vm_boot.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void write_file(const char *folder, const char *name, const char *text)
{
        autofree char *path = xasprintf("%s/%s", folder, name);

        assert_return_code(file_write_atomic(path, 0600, text, strlen(text), NULL), 0);
}

static bool is_there(const char *folder, const char *name)
{
        autofree char *path = xasprintf("%s/%s", folder, name);

        return access(path, F_OK) == 0;
}

static void assert_kernel(const struct vm_record *r, const char *folder, const char *text)
{
        autofree char *boot = boot_folder(r, folder), *path = xasprintf("%s/kernel", boot);
        autofree char *content = file_read(path, 1024, NULL, NULL);

        assert_non_null(content);
        assert_string_equal(content, text);
}

/* A VM with old files, and what initvm-image has made of a new one. */
static struct vm_record prepare(const char *folder)
{
        autofree char *import = xasprintf("%s/import", folder), *snapshot = xasprintf("%s/snapshots/mine", folder);

        write_file(folder, "kernel", "old");
        write_file(folder, "initrd", "old");
        assert_return_code(dir_make(snapshot, 0700, NULL), 0);
        assert_return_code(dir_make(import, 0700, NULL), 0);
        write_file(import, "kernel", "new");
        write_file(import, "initrd", "new");
        return (struct vm_record){.name = (char *)"a",
                                  .uuid = (char *)"u",
                                  .image = (char *)"i",
                                  .suite = (char *)"s",
                                  .architecture = (char *)"amd64",
                                  .command_line = (char *)"root=UUID=1",
                                  .acceleration = (char *)"auto",
                                  .memory = 1,
                                  .cpus = 1,
                                  .size = 100,
                                  .boot_id = xstrdup("old")};
}

static void assert_old(struct vm_record *r, const char *folder)
{
        struct error err = ERROR_INIT;

        assert_return_code(import_complete(r, folder, &err), 0);
        assert_kernel(r, folder, "old");
        assert_int_equal(r->size, 100);
        assert_string_equal(r->boot_id, "old");
        assert_true(is_there(folder, "snapshots/mine"));
        assert_false(is_there(folder, "import"));
        free(r->boot_id);
}

static void test_none(void **state)
{
        struct vm_record r = prepare(*state);
        autofree char *import = scratch_path(state, "import");

        assert_return_code(tree_remove(import, NULL), 0);
        assert_old(&r, *state);
}

static void test_not_ready(void **state)
{
        struct vm_record r = prepare(*state);

        write_file(*state, "buildenv.img.new", "new");
        assert_old(&r, *state);
}

static void test_not_renamed(void **state)
{
        struct vm_record r = prepare(*state);

        write_file(*state, "import/ready", "{\"virtual\":200}");
        write_file(*state, "buildenv.img.new", "new");
        assert_old(&r, *state);
}

static void assert_new(struct vm_record *r, const char *folder)
{
        struct vm_record saved;
        struct error err = ERROR_INIT;

        assert_return_code(import_complete(r, folder, &err), 0);
        assert_kernel(r, folder, "new");
        assert_int_equal(r->size, 200);
        assert_null(r->boot_id);
        assert_false(is_there(folder, "snapshots/mine"));
        assert_true(is_there(folder, "snapshots/created/kernel"));
        assert_false(is_there(folder, "import"));
        assert_return_code(vm_record_load(&saved, folder, &err), 0);
        assert_string_equal(saved.boot_folder, r->boot_folder);
        assert_int_equal(saved.size, 200);
        vm_record_done(&saved);
}

static void test_committed(void **state)
{
        const char *folder = *state;
        struct vm_record r = prepare(folder);

        write_file(folder, "import/ready", "{\"virtual\":200}");
        assert_new(&r, folder);
        free(r.boot_folder);
}

/* Between the record and the removal of import/: it is all done once more. */
static void test_again(void **state)
{
        const char *folder = *state;
        struct vm_record r = prepare(folder);
        autofree char *import = scratch_path(state, "import"), *first = NULL;

        write_file(folder, "import/ready", "{\"virtual\":200}");
        assert_new(&r, folder);
        first = xstrdup(r.boot_folder);
        assert_return_code(dir_make(import, 0700, NULL), 0);
        write_file(import, "kernel", "new");
        write_file(import, "initrd", "new");
        write_file(import, "ready", "{\"virtual\":200}");
        assert_new(&r, folder);
        assert_false(is_there(folder, first));
        free(r.boot_folder);
}

/* Of import/ only a part is left, and never what says that it counts. */
static void test_removal_interrupted(void **state)
{
        const char *folder = *state;
        struct vm_record r = prepare(folder);
        autofree char *kernel = scratch_path(state, "import/kernel");

        unlink(kernel);
        assert_old(&r, folder);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_none),      CASE(test_not_ready), CASE(test_not_renamed),
                CASE(test_committed), CASE(test_again),     CASE(test_removal_interrupted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
