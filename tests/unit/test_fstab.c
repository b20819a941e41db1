/* SPDX-License-Identifier: MIT */
#include "image/fstab.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_more(void **state)
{
        static const char *const more[] = {
                "UUID=1 / ext4 defaults 0 1\nUUID=2 /home ext4 defaults 0 2\n",
                "/dev/sda2\t/var  ext4",
                "LABEL=srv /srv xfs nofail,noatime 0 2\n",
                "# a comment\n\n  PARTUUID=0-1 /boot/efi vfat umask=0077 0 1",
                "/dev/mapper/vg-tmp /a\\040b ext4 defaults 0 2\n",
                "UUID=1 / btrfs subvol=@rootfs 0 0\nUUID=1 /home btrfs subvol=@home 0 0\n",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(more); i++)
                assert_true(fstab_has_more(more[i]));
}

static void test_root_only(void **state)
{
        static const char *const only[] = {
                "",
                "\n",
                "nonsense",
                "UUID=1 / ext4 noatime,discard,errors=remount-ro 0 1\nUUID=2 none swap sw,discard 0 0\n",
                "UUID=1 / ext4 defaults 0 1\nUUID=3 /boot/efi vfat umask=0077,noauto 0 0\n",
                "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n",
                "tmpfs /tmp tmpfs nosuid 0 0\nproc /proc proc defaults 0 0\nhost:/export /srv nfs defaults 0 0\n",
                "# UUID=2 /home ext4 defaults 0 2\n",
                "/dev/sda5 /swap swap sw 0 0\n",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(only); i++)
                assert_false(fstab_has_more(only[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_more),
                cmocka_unit_test(test_root_only),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
