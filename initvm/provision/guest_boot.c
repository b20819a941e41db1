/* SPDX-License-Identifier: MIT */
/* What the machine boots with: fstab, initrd, GRUB's settings (GRUB itself is installed at the first boot, see finish.sh). */
#include "provision/guest.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the kernel, what finds and mounts the root of a virtual machine. */
static const char initrd_modules[] = "# The devices of a QEMU virtual machine, and the root file system.\n"
                                     "virtio_pci\n"
                                     "virtio_mmio\n"
                                     "virtio_blk\n"
                                     "virtio_console\n"
                                     "ext4\n";

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
                            streq(serial, "ttyS0") ? "GRUB_TERMINAL=\"console serial\"\nGRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\n"
                                                   : "");
}

/* The release of the newest kernel in /boot, owned. */
static char *kernel_release(struct error *err)
{
        DIR *d = opendir("/boot");
        char *newest = NULL;

        for (struct dirent *e; d && (e = readdir(d));) {
                const char *release = e->d_name + strlen("vmlinuz-");

                if (!str_has_prefix(e->d_name, "vmlinuz-") || (newest && strverscmp(release, newest) <= 0))
                        continue;
                free(newest);
                newest = xstrdup(release);
        }
        if (d)
                closedir(d);
        if (!newest)
                error_set(err, ERR_INVALID, "no kernel was installed: 'base-installer/kernel/image' must name a kernel's package");
        return newest;
}

/* Once for all: the packages were kept from making one (guest_preconfigure()). */
static int make_initrd(const struct plan *plan, const char *release, struct error *err)
{
        char *const argv[] = {"update-initramfs", "-c", "-k", (char *)release, NULL};

        /* A machine that is decompressed under emulation at every start wants the quick way. RESUME: no hibernation, no wait. */
        if (guest_writef("/etc/initramfs-tools/conf.d/initvm", 0644, err,
                         "MODULES=%s\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\nRESUME=none\nFSTYPE=%s\n", plan->modules, plan->filesystem) < 0 ||
            guest_write("/etc/initramfs-tools/modules", 0644, initrd_modules, err) < 0)
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
        release = kernel_release(err);
        if (!release || make_initrd(guest->plan, release, err) < 0)
                return -1;
        if (guest->efi_uuid && dir_make("/boot/efi", 0755, err) < 0)
                return -1;
        kernel = xasprintf("/boot/vmlinuz-%s", release);
        initrd = xasprintf("/boot/initrd.img-%s", release);
        return copy_out(kernel, guest->kernel_out, err) < 0 || copy_out(initrd, guest->initrd_out, err) < 0 ? -1 : 0;
}
