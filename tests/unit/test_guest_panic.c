/* SPDX-License-Identifier: MIT */
/* Which reboots are a kernel's panic. */
#include "base/util.h"
#include "daemon/guest_panic.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *find(const char *text)
{
        autofree char *exact = malloc(strlen(text)); /* not terminated */

        memcpy(exact, text, strlen(text));
        return guest_panic_find(exact, strlen(text));
}

static void test_panic(void **state)
{
        autofree char *text =
                find("[    0.0] Linux version 6.1\r\n[   10.0] BUG: kernel NULL pointer\r\n"
                     "[   10.1] Kernel panic - not syncing: Fatal exception\r\n[   10.2] Kernel Offset: disabled\r\n");

        (void)state;
        assert_string_equal(
                text, "the guest's kernel panicked (Fatal exception), and the VM has booted again; the console's last lines "
                      "before that:\n[    0.0] Linux version 6.1\r\n[   10.0] BUG: kernel NULL pointer\r\n"
                      "[   10.1] Kernel panic - not syncing: Fatal exception");
}

static void test_cut(void **state)
{
        autofree char *text = find("Kernel panic - not syncing: Out of"), *empty = find("\nKernel panic - not syncing: ");

        (void)state;
        assert_non_null(strstr(text, "(Out of)"));
        assert_non_null(strstr(empty, "()"));
}

static void test_lines(void **state)
{
        autofree char *text = find("1\n2\n3\n4\n5\n6\n7\n8\n9\nKernel panic - not syncing: x\n");

        (void)state;
        assert_non_null(strstr(text, ":\n3\n4\n5\n6\n7\n8\n9\nKernel panic"));
}

static void test_none(void **state)
{
        static const char *const rows[] = {
                "x",
                "reboot: Restarting system\n",
                "Kernel panic - not syncing",
                "Kernel panic - not syncing: old\nSeaBIOS\nLinux version 6.1\nreboot: Restarting system\n",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                autofree char *text = find(rows[i]);

                assert_null(text);
        }
        assert_null(guest_panic_find("", 0));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_panic),
                cmocka_unit_test(test_cut),
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_none),
        };

        return cmocka_run_group_tests_name("guest_panic", tests, NULL, NULL);
}
