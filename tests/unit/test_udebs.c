/* SPDX-License-Identifier: MIT */
#include "provision/udebs.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char installed[] = "Package: kernel-image-6.12.94+deb13-amd64-di\nStatus: install ok installed\nVersion: 6.12.94-1\n"
                                "Kernel-Version: 6.12.94+deb13-amd64\n\n"
                                "Package: anna\nStatus: install ok installed\nVersion: 1.99\n\n"
                                "Package: libuuid1-udeb\nStatus: install ok installed\nVersion: 2.41-4\n";

#define KERNEL(version, abi)                                                                                                     \
        "Package: kernel-image-" abi "-di\nVersion: " version "\nPriority: standard\nKernel-Version: " abi "\n\n"                \
        "Package: ext4-modules-" abi "-di\nVersion: " version "\nPriority: standard\nKernel-Version: " abi                       \
        "\nDepends: kernel-image-" abi "-di, crc-modules-" abi "-di\n\n"                                                         \
        "Package: crc-modules-" abi "-di\nVersion: " version "\nPriority: optional\nKernel-Version: " abi "\n\n"

static const char rest[] = "Package: anna\nVersion: 1.99\nPriority: standard\n\n"
                           "Package: partman-base\nVersion: 1\nPriority: standard\n"
                           "Depends: parted-udeb (>= 3), nothing | e2fsprogs-udeb, not-here\n"
                           "Description: x\n Depends: rescue-mode\n\n"
                           "Package: parted-udeb\nVersion: 1\nPriority: optional\nDepends: partman-base\n\n"
                           "Package: e2fsprogs-udeb\nVersion: 1\nPriority: optional\n\n"
                           "Package: libuuid1-udeb\nVersion: 2.41-5\nPriority: optional\n\n"
                           "Package: rescue-mode\nVersion: 1\nPriority: extra\n";

static void test_wanted(void **state)
{
        autofree char *index = xasprintf("%s%s%s", KERNEL("6.12.107-1", "6.12.107+deb13-amd64"),
                                         KERNEL("6.12.94-1", "6.12.94+deb13-amd64"), rest);
        struct error err = ERROR_INIT;
        struct udebs u;
        (void)state;

        assert_int_equal(udebs_read(&u, index, installed, &err), 0);
        assert_string_equal(u.kernel, "6.12.94+deb13-amd64");
        autofree char *wanted = strv_join(u.wanted, " ");
        assert_string_equal(wanted,
                            "ext4-modules-6.12.94+deb13-amd64-di crc-modules-6.12.94+deb13-amd64-di partman-base parted-udeb "
                            "e2fsprogs-udeb libuuid1-udeb");
        udebs_done(&u);
}

/* The index went on to another kernel, as it does with each point release. */
static void test_other_kernel(void **state)
{
        autofree char *index = xasprintf("%s%s", KERNEL("6.12.107-1", "6.12.107+deb13-amd64"), rest);
        struct error err = ERROR_INIT;
        struct udebs u;
        (void)state;

        assert_int_equal(udebs_read(&u, index, installed, &err), -1);
        assert_int_equal(err.code, ERR_UNSUPPORTED);
        assert_string_equal(err.message, "the mirror has no components for the installer's kernel 6.12.94+deb13-amd64, but for: "
                                         "6.12.107+deb13-amd64");
}

static void test_no_installer(void **state)
{
        struct error err = ERROR_INIT;
        struct udebs u;
        (void)state;

        assert_int_equal(udebs_read(&u, rest, "Package: anna\nVersion: 1\n", &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(udebs_read(&u, "", "", &err), -1);
        assert_int_equal(udebs_read(&u, "", installed, &err), -1);
        assert_non_null(strstr(err.message, "but for: none"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wanted),
                cmocka_unit_test(test_other_kernel),
                cmocka_unit_test(test_no_installer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
