/* SPDX-License-Identifier: MIT */
/* What becomes of an adopted system's files, and which systems are not adopted. */
#include "image/adopt_text.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_kernel_options(void **state)
{
        static const struct {
                const char *grub_cfg, *options;
        } cases[] = {
                {"", ""},
                {"menuentry 'x' {\n\tlinux\n}\n", ""},
                {"linux_note a b\n", ""},
                {"\tlinux\t/boot/vmlinuz-6.1 root=/dev/sda1 ro  quiet splash $vt_handoff\n", ""},
                {"  linux /vmlinuz root=PARTUUID=1-2 ro console=tty0 console=ttyS0,115200 earlyprintk=ttyS0 consoleblank=0\n",
                 "consoleblank=0"},
                {"x\n linuxefi /vmlinuz root=UUID=1 rw net.ifnames=0 biosdevname=0 resume=UUID=2 rootflags=data=ordered\n",
                 "net.ifnames=0 biosdevname=0 rootflags=data=ordered"},
                {"linux /first a=1\nlinux /second b=2", "a=1"},
                {"linux /last a=1", "a=1"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *options = adopt_kernel_options(cases[i].grub_cfg);

                assert_string_equal(options, cases[i].options);
        }
}

/* Partitions 1 and 16 have one. */
static char *uuid_of(void *userdata, unsigned partition)
{
        (*(unsigned *)userdata)++;
        return partition == 1 || partition == 16 ? xasprintf("u-%u", partition) : NULL;
}

static void test_fstab(void **state)
{
        static const struct {
                const char *old, *new;
                unsigned asked;
        } cases[] = {
                {"", "", 0},
                {"# /dev/sda1 was here\n\nUUID=x / ext4 a 0 1\n", "# /dev/sda1 was here\n\nUUID=x / ext4 a 0 1\n", 0},
                {"/dev/sda1 / ext4 errors=remount-ro 0 1\n", "UUID=u-1 / ext4 errors=remount-ro 0 1\n", 1},
                {" \t/dev/vda16\t/boot ext4\n/dev/sda5 none swap sw\n", "UUID=u-16\t/boot ext4\n/dev/sda5 none swap sw\n", 2},
                {"/dev/sdb1 /x ext4\n/dev/sda /y ext4\n/dev/sda1x /z ext4\n/dev/mapper/a-b / ext4",
                 "/dev/sdb1 /x ext4\n/dev/sda /y ext4\n/dev/sda1x /z ext4\n/dev/mapper/a-b / ext4\n", 0},
                {"/dev/xvda1", "UUID=u-1\n", 1},
                {"   ", "   \n", 0},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                unsigned asked = 0;
                autofree char *new = adopt_fstab(cases[i].old, uuid_of, &asked);

                assert_string_equal(new, cases[i].new);
                assert_int_equal(asked, cases[i].asked);
        }
}

#define OURS "/etc/ssh/sshd_config.d/00-initvm.conf"
#define ALL  "Include /etc/ssh/sshd_config.d/*.conf\n"

/* Nothing that allows passwords may come before ours. */
static void test_sshd_config(void **state)
{
        static const struct {
                const char *old;
                bool first; /* as it is, ours comes first */
        } cases[] = {
                {"# Debian's\n\n" ALL "KbdInteractiveAuthentication no\n", true},
                {"PasswordAuthentication yes\n" ALL, false},
                {"Port 22\n", false},
                {"# only a comment\n", false},
                {"", false},
                {"Include /elsewhere/*.conf\n", false},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *new = adopt_sshd_config(cases[i].old, OURS);
                autofree char *with = xasprintf("Include " OURS "\n%s", cases[i].old);

                assert_string_equal(new, cases[i].first ? cases[i].old : with);
        }
}

static void test_systems(void **state)
{
        static const struct {
                struct adopt_system system;
                const char *refused; /* NULL: it can be adopted */
        } cases[] = {
                {{"debian", "x86_64", true, true}, NULL},
                {{"ubuntu", "x86_64", true, true}, NULL},
                {{"fedora", "x86_64", true, true}, "'fedora': only Debian and Ubuntu"},
                {{"debian", "aarch64", true, true}, "is for arm64, this host is amd64"},
                {{"debian", "i386", true, true}, "is for i386, this host is amd64"},
                {{"debian", "x86_64", false, true}, "not run by systemd"},
                {{"debian", "x86_64", true, false}, "not in a partition of its own"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                int r = adopt_check_system(&cases[i].system, "amd64", &err);

                assert_int_equal(r, cases[i].refused ? -1 : 0);
                if (cases[i].refused) {
                        assert_int_equal(err.code, ERR_UNSUPPORTED);
                        assert_non_null(strstr(err.message, cases[i].refused));
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kernel_options),
                cmocka_unit_test(test_fstab),
                cmocka_unit_test(test_sshd_config),
                cmocka_unit_test(test_systems),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
