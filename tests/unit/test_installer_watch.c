/* SPDX-License-Identifier: MIT */
/* data/installer/ holds what real installers wrote on their two ports. */
#include "daemon/installer_watch.h"

#include "base/file.h"
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void console(struct installer_watch *w, const char *text)
{
        installer_watch_console(w, text, strlen(text));
}

static void log_(struct installer_watch *w, const char *text)
{
        installer_watch_log(w, text, strlen(text));
}

static int setup(void **state)
{
        *state = installer_watch_new();
        return 0;
}

static int teardown(void **state)
{
        installer_watch_free(*state);
        return 0;
}

static struct installer_progress progress(const struct installer_watch *w)
{
        struct installer_progress p;

        installer_watch_progress(w, &p);
        return p;
}

static char *recorded(const char *name, size_t *ret_size)
{
        autofree char *path = xasprintf("%s/unit/data/installer/%s", INITVM_TESTS, name);
        char *data = file_read(path, 1u << 20, ret_size, NULL);

        assert_non_null(data);
        return data;
}

/* A real failure, in pieces of every size: whatever the ports deliver at once, the end is the same. */
static void test_recorded_failure(void **state)
{
        size_t n_console, n_log;
        autofree char *screen = recorded("mkfs.console", &n_console), *text = recorded("mkfs.log", &n_log);
        (void)state;

        for (size_t piece = 1; piece < 200; piece = piece * 3 + 1) {
                struct installer_watch *w = installer_watch_new();

                for (size_t i = 0; i < n_log; i += piece)
                        installer_watch_log(w, text + i, MIN(piece, n_log - i));
                assert_int_equal(installer_watch_state(w), INSTALLER_RUNNING);
                assert_string_equal(progress(w).stage, "partitions");
                for (size_t i = 0; i < n_console; i += piece)
                        installer_watch_console(w, screen + i, MIN(piece, n_console - i));
                autofree char *words = installer_watch_words(w), *tail = installer_watch_log_tail(w);
                assert_int_equal(installer_watch_state(w), INSTALLER_ASKS);
                assert_null(installer_watch_question(w));
                assert_true(installer_watch_is_message(w));
                assert_non_null(strstr(words, "!! ERROR: Failed to create a file system\n"));
                assert_non_null(strstr(words, "partition #2 of Virtual disk 1 (vda) failed.\n"));
                assert_null(strstr(words, "Guided partitioning"));
                assert_non_null(strstr(tail, "mkfs.ext4: error while loading shared libraries: libext2fs.so.2"));
                installer_watch_free(w);
        }
}

static void test_stages(void **state)
{
        struct installer_watch *w = *state;

        assert_string_equal(progress(w).stage, "boot");
        assert_int_equal(progress(w).percent, -1);
        log_(w, "Nov 22 13:44:33 main-menu[2378]: INFO: Menu item 'download-installer' selected\n");
        assert_string_equal(progress(w).stage, "components");
        log_(w, "Nov 22 13:44:33 main-menu[2378]: INFO: Menu item 'some-new-step' selected\n");
        assert_string_equal(progress(w).stage, "some-new-step");
        log_(w, "Nov 22 13:44:33 in-target: says Menu item 'pkgsel' selected\n"); /* somebody else's words */
        assert_string_equal(progress(w).stage, "some-new-step");
        assert_int_equal(installer_watch_state(w), INSTALLER_RUNNING);
}

static void test_percent(void **state)
{
        struct installer_watch *w = *state;
        unsigned changes = progress(w).changes;

        console(w, "Loading additional components  ... 0%");
        assert_string_equal(progress(w).text, "Loading additional components");
        assert_int_equal(progress(w).percent, 0);
        console(w, "... 3");
        assert_int_equal(progress(w).percent, 0); /* 3 or 30: not known yet */
        console(w, "0%... 35%");
        assert_int_equal(progress(w).percent, 35);
        assert_int_equal(progress(w).changes, changes + 2);
        console(w, "\r\nsomething else\r\n");
        assert_int_equal(progress(w).percent, 35);
        assert_int_equal(progress(w).changes, changes + 2);
}

static void test_small_disk(void **state)
{
        struct installer_watch *w = *state;

        log_(w, "Nov 22 13:44:33 partman-auto: Available disk space (many) too small for expert recipe (5586); skipping\n");
        assert_int_equal(installer_watch_state(w), INSTALLER_RUNNING);
        log_(w, "Nov 22 13:44:33 partman-auto: Available disk space (3221) too small for expert recipe (5586); skipping\n");
        assert_int_equal(installer_watch_state(w), INSTALLER_FAILED);
        assert_string_equal(installer_watch_why(w),
                            "the disk has 3221 MB, and the preseed's partitions need 5586 MB: make it larger with --size");
}

/* The question has a name in the log, and words on the console. */
static void test_question(void **state)
{
        struct installer_watch *w = *state;

        log_(w, "Nov 22 13:39:27 debconf: --> INPUT high netcfg/get_hostname\nNov 22 13:39:27 debconf: <-- 30 question skipped\n"
                "Nov 22 13:39:27 debconf: --> GO\nNov 22 13:39:27 debconf: <-- 0 ok\n");
        assert_null(installer_watch_question(w));
        console(w, "Checking  ... 25%... 100%\r\nConfigure the clock\r\n-------------------\r\n\r\nSelect your time zone:\r\n  "
                   "1: Lisbon  2: Madeira\r\n");
        assert_int_equal(installer_watch_state(w), INSTALLER_RUNNING);
        console(w, "Prompt: '?' for help");
        assert_int_equal(installer_watch_state(w), INSTALLER_RUNNING);
        console(w, ", default=1> ");
        assert_int_equal(installer_watch_state(w), INSTALLER_ASKS);
        assert_null(installer_watch_question(w));
        log_(w, "Nov 22 13:39:30 debconf: --> INPUT high time/zone\nNov 22 13:39:30 debconf: <-- 0 question will be asked\n");
        log_(w, "Nov 22 13:39:30 debconf: --> GO\n");
        assert_string_equal(installer_watch_question(w), "time/zone");
        assert_false(installer_watch_is_message(w));
        autofree char *words = installer_watch_words(w);
        assert_string_equal(words, "Configure the clock\n-------------------\nSelect your time zone:\n  1: Lisbon  2: Madeira\n");
}

/* Of a long question the beginning is kept: what it is about, and not its last choices. */
static void test_long_question(void **state)
{
        struct installer_watch *w = *state;

        for (int i = 0; i < 100; i++)
                console(w, "[  1.0] a line of the kernel\r\n");
        console(w, "Configure the keyboard\r\n----------------------\r\n\r\nKeymap to use:\r\n");
        for (int i = 0; i < 100; i++)
                console(w, "  1: one of many choices\r\n");
        console(w, "Prompt: '?' for help, default=1> ");
        autofree char *words = installer_watch_words(w);
        assert_int_equal(installer_watch_state(w), INSTALLER_ASKS);
        assert_true(str_has_prefix(words, "Configure the keyboard\n----------------------\nKeymap to use:\n  1: one of many"));
}

/* A question that is answered by itself is none. */
static void test_question_answered(void **state)
{
        struct installer_watch *w = *state;

        log_(w, "x debconf: --> INPUT high a/b\nx debconf: <-- 0 question will be asked\nx debconf: --> GO\n");
        assert_string_equal(installer_watch_question(w), "a/b");
        log_(w, "x debconf: <-- 0 ok\n");
        assert_null(installer_watch_question(w));
}

static void test_panic(void **state)
{
        struct installer_watch *w = *state;

        console(w, "[   12.5] Kernel panic - not syncing: VFS: Unable to mount root");
        assert_int_equal(installer_watch_state(w), INSTALLER_RUNNING);
        console(w, " fs on unknown-block(0,0)\r\n");
        assert_int_equal(installer_watch_state(w), INSTALLER_FAILED);
        assert_string_equal(installer_watch_why(w),
                            "the installer's kernel panicked: VFS: Unable to mount root fs on unknown-block(0,0)");
}

static void test_end(void **state)
{
        struct installer_watch *w = *state;

        console(w, "[ 9.0] reboot: Power down\r\n"); /* of a machine that was never completed */
        assert_int_equal(installer_watch_state(w), INSTALLER_RUNNING);
        log_(w, "Nov 22 14:00:00 initvm: complete\n");
        assert_int_equal(installer_watch_state(w), INSTALLER_RUNNING);
        console(w, "[ 9.9] reboot: Power down\r\n");
        assert_int_equal(installer_watch_state(w), INSTALLER_OFF);
        console(w, "Prompt: > ");
        assert_int_equal(installer_watch_state(w), INSTALLER_OFF);
}

static void test_not_completed(void **state)
{
        struct installer_watch *w = *state;

        log_(w, "Nov 22 14:00:00 in-target: initvm-target: no\nNov 22 14:00:00 initvm: failed\n");
        assert_int_equal(installer_watch_state(w), INSTALLER_FAILED);
        console(w, "[ 9.9] reboot: Power down\r\n");
        assert_int_equal(installer_watch_state(w), INSTALLER_FAILED);
}

/* What the guest writes is shown to people. */
static void test_control_characters(void **state)
{
        struct installer_watch *w = *state;
        autofree char *long_line = xcalloc(100001, 1);

        log_(w, "a \033[2J b\n");
        memset(long_line, 'x', 100000);
        log_(w, long_line);
        console(w, long_line);
        autofree char *tail = installer_watch_log_tail(w);
        assert_non_null(strstr(tail, "a ?[2J b\n"));
        assert_true(strlen(tail) < 20000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_recorded_failure),
                cmocka_unit_test_setup_teardown(test_stages, setup, teardown),
                cmocka_unit_test_setup_teardown(test_percent, setup, teardown),
                cmocka_unit_test_setup_teardown(test_small_disk, setup, teardown),
                cmocka_unit_test_setup_teardown(test_question, setup, teardown),
                cmocka_unit_test_setup_teardown(test_long_question, setup, teardown),
                cmocka_unit_test_setup_teardown(test_question_answered, setup, teardown),
                cmocka_unit_test_setup_teardown(test_panic, setup, teardown),
                cmocka_unit_test_setup_teardown(test_end, setup, teardown),
                cmocka_unit_test_setup_teardown(test_not_completed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_control_characters, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
