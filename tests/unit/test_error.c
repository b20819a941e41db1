/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include "base/util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* What is promised to scripts: names on the wire and exit statuses. */
static void test_table(void **state)
{
        static const struct {
                enum error_code code;
                const char *name;
                int exit_status, exec_status;
        } cases[] = {
                {ERR_NONE, "org.initvm.Ok", 0, 0},
                {ERR_FAILED, "org.initvm.Failed", 1, 125},
                {ERR_INVALID, "org.initvm.Invalid", 2, 125},
                {ERR_NOT_FOUND, "org.initvm.NotFound", 1, 125},
                {ERR_EXISTS, "org.initvm.Exists", 1, 125},
                {ERR_STATE, "org.initvm.State", 1, 125},
                {ERR_DENIED, "org.initvm.Denied", 1, 125},
                {ERR_NO_SPACE, "org.initvm.NoSpace", 1, 125},
                {ERR_TIMEOUT, "org.initvm.Timeout", 1, 124},
                {ERR_CANCELLED, "org.initvm.Cancelled", 1, 125},
                {ERR_PROTOCOL, "org.initvm.Protocol", 1, 125},
                {ERR_UNSUPPORTED, "org.initvm.Unsupported", 1, 125},
                {ERR_DISCONNECTED, "org.initvm.Disconnected", 3, 125},
                {ERR_NOT_EXECUTABLE, "org.initvm.NotExecutable", 1, 126},
                {ERR_NO_COMMAND, "org.initvm.NoCommand", 1, 127},
        };
        (void)state;

        assert_int_equal(ARRAY_SIZE(cases), _ERR_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(cases[i].code, i);
                assert_string_equal(error_wire_name(cases[i].code), cases[i].name);
                assert_int_equal(error_exit_status(cases[i].code), cases[i].exit_status);
                assert_int_equal(error_exec_status(cases[i].code), cases[i].exec_status);
                /* A reply that calls success an error is a failure all the same. */
                assert_int_equal(error_from_wire_name(cases[i].name), i == ERR_NONE ? ERR_FAILED : cases[i].code);
        }
}

static void test_unknown(void **state)
{
        static const char *const names[] = {NULL, "", "org.initvm.", "org.initvm.notfound", "org.varlink.service.MethodNotFound"};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_int_equal(error_from_wire_name(names[i]), ERR_FAILED);
        assert_string_equal(error_wire_name(_ERR_MAX), "org.initvm.Failed");
        assert_int_equal(error_exit_status(_ERR_MAX + 7), 1);
        assert_int_equal(error_exec_status(_ERR_MAX), 125);
}

static void test_errno(void **state)
{
        static const struct {
                int errnum;
                enum error_code code;
        } cases[] = {
                {ENOENT, ERR_NOT_FOUND}, {EACCES, ERR_DENIED}, {EPERM, ERR_DENIED},      {ENOSPC, ERR_NO_SPACE},
                {EDQUOT, ERR_NO_SPACE},  {EEXIST, ERR_EXISTS}, {ETIMEDOUT, ERR_TIMEOUT}, {EIO, ERR_FAILED},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                autofree char *expected = xasprintf("cannot read 'x': %s", strerror(cases[i].errnum));

                assert_int_equal(error_errno(&err, cases[i].errnum, "cannot read '%s'", "x"), -1);
                assert_int_equal(err.code, cases[i].code);
                assert_string_equal(err.message, expected);
        }
}

static void test_prefix(void **state)
{
        struct error err = ERROR_INIT;
        (void)state;

        assert_int_equal(error_set(&err, ERR_STATE, "100%% of %s", "it"), -1);
        assert_int_equal(error_prefix(&err, "VM '%s'", "%n"), -1);
        assert_int_equal(error_prefix(&err, "create"), -1);
        assert_int_equal(err.code, ERR_STATE);
        assert_string_equal(err.message, "create: VM '%n': 100% of it");
        assert_int_equal(error_set(NULL, ERR_STATE, "x"), -1);
        assert_int_equal(error_errno(NULL, EIO, "x"), -1);
        assert_int_equal(error_prefix(NULL, "x"), -1);
}

/* Too long: cut, ended, and never within a character, whichever byte of it the cut meets. */
static void test_cut(void **state)
{
        static const char *const characters[] = {"x", "ü", "€", "😀"};
        (void)state;

        for (size_t c = 0; c < ARRAY_SIZE(characters); c++) {
                for (size_t shift = 0; shift < 5; shift++) {
                        struct error err = ERROR_INIT;
                        autobuf struct buf b = {0};
                        autofree char *text = NULL;
                        size_t n, length = strlen(characters[c]);

                        for (size_t i = 0; i < shift; i++)
                                buf_append(&b, "-", 1);
                        while (buf_size(&b) < ERROR_MESSAGE_MAX + 16)
                                buf_append(&b, characters[c], length);
                        text = buf_take_string(&b);
                        error_set(&err, ERR_FAILED, "%s", text);
                        n = strlen(err.message);
                        assert_int_equal(n, shift + (ERROR_MESSAGE_MAX - 1 - shift) / length * length);
                        assert_memory_equal(err.message, text, n);

                        error_prefix(&err, "p");
                        n = strlen(err.message);
                        assert_int_equal(n, 3 + shift + (ERROR_MESSAGE_MAX - 4 - shift) / length * length);
                        assert_memory_equal(err.message + 3, text, n - 3);

                        error_errno(&err, EIO, "%s", text);
                        assert_int_equal(strlen(err.message), shift + (ERROR_MESSAGE_MAX - 1 - shift) / length * length);
                        error_prefix(&err, "%s", text);
                        assert_true(strlen(err.message) < ERROR_MESSAGE_MAX);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),  cmocka_unit_test(test_unknown), cmocka_unit_test(test_errno),
                cmocka_unit_test(test_prefix), cmocka_unit_test(test_cut),
        };

        return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
