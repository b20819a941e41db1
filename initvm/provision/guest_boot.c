/* SPDX-License-Identifier: MIT */
/* What the machine boots with: fstab, initrd, GRUB's settings (GRUB itself is installed at the first boot, see finish.sh). */
#include "provision/guest.h"

#include "base/boot_files.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The initrd of a virtual machine.  Its disk is known before anything looks for it, so udev, which takes longer than all the
 * rest together under emulation, only starts when there is no virtio disk: when the image is attached in another way.
 */
static const char initrd_modules[] = "virtio_pci\n"
                                     "virtio_mmio\n"
                                     "virtio_blk\n"
                                     "ext4\n";

static const char initrd_hook[] =
        "#!/bin/sh -e\n"
        "# The drivers of other disks than virtio's, and udev's own scripts, see ../scripts/*/udev.\n"
        "[ \"$1\" != prereqs ] || { echo udev; exit 0; }\n"
        ". /usr/share/initramfs-tools/hook-functions\n"
        "manual_add_modules ahci nvme virtio_scsi sd_mod\n"
        "mkdir -p \"$DESTDIR/usr/lib/initvm\"\n"
        "for s in init-top init-bottom; do\n"
        "        cp -p \"/usr/share/initramfs-tools/scripts/$s/udev\" \"$DESTDIR/usr/lib/initvm/udev-$s\"\n"
        "done\n";

static const char initrd_top[] = "#!/bin/sh -e\n"
                                 "[ \"$1\" != prereqs ] || { echo; exit 0; }\n"
                                 "for m in virtio_pci virtio_mmio virtio_blk; do\n"
                                 "        modprobe -q \"$m\" || :\n"
                                 "done\n"
                                 "for d in /sys/block/vd*; do\n"
                                 "        [ ! -e \"$d\" ] || exit 0\n"
                                 "done\n"
                                 "for m in ahci nvme virtio_scsi sd_mod; do\n"
                                 "        modprobe -q \"$m\" || :\n"
                                 "done\n"
                                 ": >/run/initvm-udev\n"
                                 "exec /usr/lib/initvm/udev-init-top\n";

static const char initrd_bottom[] = "#!/bin/sh -e\n"
                                    "[ \"$1\" != prereqs ] || { echo; exit 0; }\n"
                                    "[ ! -e /run/initvm-udev ] || exec /usr/lib/initvm/udev-init-bottom\n"
                                    "mount -n -o move /dev \"${rootmnt:?}/dev\" || mount -n --move /dev \"${rootmnt}/dev\"\n"
                                    "rm -rf /dev\n"
                                    "ln -s \"${rootmnt}/dev\" /dev\n";

/*
 * What udev would load for the processor and the chipset that QEMU shows, at each start, and nobody uses.  Nested virtual
 * machines are one `modprobe kvm_intel` or `kvm_amd` away.
 */
static const char blacklist[] = "# Not needed in a virtual machine, and slow to load under emulation.\n"
                                "blacklist aesni_intel\n"
                                "blacklist crc32_pclmul\n"
                                "blacklist crct10dif_pclmul\n"
                                "blacklist ghash_clmulni_intel\n"
                                "blacklist polyval_clmulni\n"
                                "blacklist sha1_ssse3\n"
                                "blacklist sha256_ssse3\n"
                                "blacklist sha512_ssse3\n"
                                "blacklist kvm_amd\n"
                                "blacklist kvm_intel\n"
                                "blacklist powernow_k8\n"
                                "blacklist acpi_cpufreq\n"
                                "blacklist ahci\n"
                                "blacklist qemu_fw_cfg\n"
                                "blacklist serio_raw\n"
                                "blacklist psmouse\n"
                                "blacklist pcspkr\n"
                                "blacklist i2c_i801\n"
                                "blacklist lpc_ich\n"
                                "blacklist efi_pstore\n";

#define FSTAB_MAX (64u * 1024)

static int apply_fstab(const struct guest *guest, struct error *err)
{
        autobuf struct buf b = {0};
        autofree char *text = NULL;

        buf_printf(&b, "# <file system> <mount point> <type> <options> <dump> <pass>\n");
        /* discard: what is deleted in the machine is given back to the host at once. ext2 knows it as well. */
        buf_printf(&b, "UUID=%s / %s noatime,discard,errors=remount-ro 0 1\n", guest->root_uuid, guest->plan->filesystem);
        if (guest->swap_uuid)
                buf_printf(&b, "UUID=%s none swap sw,discard 0 0\n", guest->swap_uuid);
        if (guest->efi_uuid)
                buf_printf(&b, "UUID=%s /boot/efi vfat umask=0077,noauto 0 0\n", guest->efi_uuid);
        text = buf_take_string(&b);
        return guest_write("/etc/fstab", 0644, text, err);
}

static int apply_grub(const struct plan *plan, struct error *err)
{
        const char *serial = streq(plan->image->architecture, "arm64") ? "ttyAMA0" : "ttyS0";

        return guest_writef("/etc/default/grub.d/initvm.cfg", 0644, err,
                            "# A virtual machine with a serial console and one system.\n"
                            "GRUB_TIMEOUT=1\n"
                            "GRUB_CMDLINE_LINUX_DEFAULT=\"\"\n"
                            "GRUB_CMDLINE_LINUX=\"console=tty0 console=%s%s%s\"\n"
                            "%s"
                            "GRUB_DISABLE_OS_PROBER=true\n",
                            serial, *plan->kernel_options ? " " : "", plan->kernel_options,
                            streq(serial, "ttyS0")
                                    ? "GRUB_TERMINAL=\"console serial\"\nGRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\n"
                                    : "");
}

/* Once for all: the packages were kept from making one (guest_preconfigure()). */
static int make_initrd(const struct plan *plan, const char *release, bool again, struct error *err)
{
        char *const argv[] = {"update-initramfs", again ? "-u" : "-c", "-k", (char *)release, NULL};

        /* A machine that is decompressed under emulation at every start wants the quick way. RESUME: no hibernation, no wait. */
        if (guest_writef("/etc/initramfs-tools/conf.d/initvm", 0644, err,
                         "MODULES=%s\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\nRESUME=none\nFSTYPE=%s\n", plan->modules,
                         plan->filesystem) < 0 ||
            guest_write("/etc/modprobe.d/initvm.conf", 0644, blacklist, err) < 0)
                return -1;
        if (streq(plan->modules, "list") &&
            (guest_write("/etc/initramfs-tools/modules", 0644, initrd_modules, err) < 0 ||
             guest_write("/etc/initramfs-tools/hooks/initvm", 0755, initrd_hook, err) < 0 ||
             guest_write("/etc/initramfs-tools/scripts/init-top/udev", 0755, initrd_top, err) < 0 ||
             guest_write("/etc/initramfs-tools/scripts/init-bottom/udev", 0755, initrd_bottom, err) < 0))
                return -1;
        return guest_run(argv, NULL, err);
}

static int copy_out(const char *path, int to, struct error *err)
{
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return error_errno(err, errno, "reading '%s' in the new system", path);
        return guest_copy(fd, to, err);
}

int guest_apply_boot(const struct guest *guest, struct error *err)
{
        autofree char *release = NULL, *kernel = NULL, *initrd = NULL;

        if (apply_fstab(guest, err) < 0 || apply_grub(guest->plan, err) < 0)
                return -1;
        release = boot_newest("/boot", false, NULL);
        if (!release)
                return error_set(err, ERR_INVALID,
                                 "no kernel was installed: 'base-installer/kernel/image' must name a kernel's package");
        if (make_initrd(guest->plan, release, false, err) < 0)
                return -1;
        if (guest->efi_uuid && dir_make("/boot/efi", 0755, err) < 0)
                return -1;
        kernel = xasprintf("/boot/vmlinuz-%s", release);
        initrd = xasprintf("/boot/initrd.img-%s", release);
        return copy_out(kernel, guest->kernel_out, err) < 0 || copy_out(initrd, guest->initrd_out, err) < 0 ? -1 : 0;
}

/* One line of fstab(5), as it is or with "discard" among the options of a file system that knows it; what is the root's type. */
static void add_fstab_line(struct buf *b, const char *line, char **ret_root)
{
        autostrv char **fields = line[0] == '#' ? NULL : strv_split(line, " \t");
        bool extended = fields && strv_length(fields) >= 4 && str_has_prefix(fields[2], "ext");

        if (fields && strv_length(fields) >= 4 && streq(fields[1], "/")) {
                free(*ret_root);
                *ret_root = xstrdup(fields[2]);
        }
        if (!extended || strstr(fields[3], "discard")) {
                buf_printf(b, "%s\n", line);
                return;
        }
        for (size_t i = 0; fields[i]; i++)
                buf_printf(b, "%s%s%s", i ? " " : "", fields[i], i == 3 ? ",discard" : "");
        buf_printf(b, "\n");
}

static int complete_fstab(char **ret_root, struct error *err)
{
        autofree char *old = file_read("/etc/fstab", FSTAB_MAX, NULL, err), *new = NULL;
        autobuf struct buf b = {0};

        if (!old)
                return -1;
        for (const char *line = old; *line;) {
                size_t n = strcspn(line, "\n");
                autofree char *copy = xstrndup(line, n);

                add_fstab_line(&b, copy, ret_root);
                line += n + (line[n] == '\n');
        }
        new = buf_take_string(&b);
        return guest_write("/etc/fstab", 0644, new, err);
}

int guest_complete_boot(struct plan *plan, struct error *err)
{
        char *const update_grub[] = {"update-grub", NULL};
        autofree char *release = boot_newest("/boot", false, err);

        if (!release || complete_fstab(&plan->filesystem, err) < 0 || apply_grub(plan, err) < 0)
                return -1;
        if (!plan->filesystem)
                return error_set(err, ERR_INVALID, "the new system's fstab has no root file system");
        /* partman's answer to the same question would come after ours, and each boot would wait for that device. */
        if (tree_remove("/etc/initramfs-tools/conf.d/resume", err) < 0)
                return -1;
        return make_initrd(plan, release, true, err) < 0 ? -1 : guest_run(update_grub, NULL, err);
}
