/* SPDX-License-Identifier: MIT */
/* What runs in the machine: network, console, the agent, emulators; and what does not, because nobody there needs it. */
#include "provision/guest.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A binfmt.d(5) line is below 256 bytes by the kernel's limit. */
#define BINFMT_MAX 4096

/* Those that the package made went out again with guest_clean(): no two machines have the same. */
static const char ssh_host_key[] = "[Unit]\n"
                                   "Description=Makes the SSH host key\n"
                                   "ConditionPathExists=/usr/bin/ssh-keygen\n"
                                   "ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key\n"
                                   "Before=ssh.service ssh.socket\n"
                                   "\n"
                                   "[Service]\n"
                                   "Type=oneshot\n"
                                   "ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N \"\" -f /etc/ssh/ssh_host_ed25519_key\n"
                                   "\n"
                                   "[Install]\n"
                                   "WantedBy=ssh.service ssh.socket\n";

/*
 * At boot udev looks again at every device that the kernel has found already: hundreds, most of them terminals and
 * kernel-internal ones that no rule concerns.  These are those that rules, modules and device units are about; what appears
 * later is looked at anyhow.
 */
static const char coldplug[] =
        "[Service]\n"
        "ExecStart=\n"
        "ExecStart=-udevadm trigger --type=devices --action=add --prioritized-subsystem=block,virtio,virtio-ports,net"
        " --subsystem-match=acpi --subsystem-match=block --subsystem-match=drm --subsystem-match=hidraw --subsystem-match=input"
        " --subsystem-match=misc --subsystem-match=mmc --subsystem-match=net --subsystem-match=nvme --subsystem-match=pci"
        " --subsystem-match=platform --subsystem-match=rtc --subsystem-match=scsi --subsystem-match=sound --subsystem-match=tpm"
        " --subsystem-match=tpmrm --subsystem-match=usb --subsystem-match=usbmisc --subsystem-match=vfio --subsystem-match=virtio"
        " --subsystem-match=virtio-ports --subsystem-match=watchdog\n"
        "ExecStart=-udevadm trigger --type=devices --action=add --subsystem-match=tty --sysname-match=ttyS[0-3]"
        " --sysname-match=ttyAMA* --sysname-match=hvc*\n";

/* Looks for what a virtual machine with an fstab does not have, at every start. */
static const char *const masked_generators[] = {
        "systemd-gpt-auto-generator", "systemd-hibernate-resume-generator", "systemd-import-generator",
        "systemd-ssh-generator",      "systemd-system-update-generator",    "systemd-tpm2-generator",
};

/* Background work that a build machine has no use for, and that takes time at boot or in the middle of a build. */
static const char *const masked[] = {
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "e2scrub_reap.service",
        "fstrim.timer",       /* the root is mounted with discard */
        "getty@tty1.service", /* there is no screen */
        "grub-common.service",
        "man-db.timer",
        "modprobe@configfs.service",
        "modprobe@drm.service",
        "modprobe@efi_pstore.service",
        "sys-kernel-config.mount",
        "sys-kernel-debug.mount",
        "sys-kernel-tracing.mount",
        "systemd-network-generator.service",
        "systemd-pcrphase.service",
        "systemd-pcrphase-sysinit.service",
        "systemd-pstore.service",
        "systemd-rfkill.service",
        "systemd-rfkill.socket",
        "systemd-sysext.socket",
        "systemd-udev-load-credentials.service",
};

static int mask_services(const struct plan *plan, struct error *err)
{
        bool upgrades = strv_contains(plan->packages, "unattended-upgrades");

        for (size_t i = 0; i < ARRAY_SIZE(masked); i++) {
                autofree char *path = xasprintf("/etc/systemd/system/%s", masked[i]);

                if (upgrades && str_has_prefix(masked[i], "apt-daily"))
                        continue;
                if (guest_link("/dev/null", path, err) < 0)
                        return -1;
        }
        for (size_t i = 0; i < ARRAY_SIZE(masked_generators); i++) {
                autofree char *path = xasprintf("/etc/systemd/system-generators/%s", masked_generators[i]);

                if (guest_link("/dev/null", path, err) < 0)
                        return -1;
        }
        return 0;
}

/*
 * Debian registers its emulators so that setuid programs of a chroot lose their rights and see another argv[0].  The same
 * lines with the flags P (argv[0] kept), O and C (rights of the program), F (the emulator is opened at once, so that it is
 * found from every chroot) are what a build needs; a file in /etc hides one of the same name in /usr (binfmt.d(5)).
 */
static int apply_binfmt(struct error *err)
{
        DIR *d = opendir("/usr/lib/binfmt.d");
        int result = 0;

        if (!d)
                return errno == ENOENT ? 0 : error_errno(err, errno, "opening /usr/lib/binfmt.d in the new system");
        for (struct dirent *e; result == 0 && (e = readdir(d));) {
                autofree char *from = xasprintf("/usr/lib/binfmt.d/%s", e->d_name),
                              *to = xasprintf("/etc/binfmt.d/%s", e->d_name);
                autofree char *line = NULL;
                char *flags;

                if (!str_has_prefix(e->d_name, "qemu-") || !str_has_suffix(e->d_name, ".conf"))
                        continue;
                line = file_read(from, BINFMT_MAX, NULL, err);
                flags = line ? strrchr(line, ':') : NULL;
                if (!line)
                        result = -1;
                else if (flags)
                        result = guest_writef(to, 0644, err, "%.*sPOCF\n", (int)(flags + 1 - line), line);
        }
        closedir(d);
        return result;
}

static int put_agent(int agent, struct error *err)
{
        autoclose int fd = -1;
        static const char path[] = GUEST_AGENT;

        if (dir_make(GUEST_AGENT_FOLDER, 0755, err) < 0)
                return -1;
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0755);
        if (fd < 0 || fchmod(fd, 0755) < 0)
                return error_errno(err, errno, "writing '%s' in the new system", path);
        return guest_copy(agent, fd, err);
}

int guest_put_commands(const struct plan *plan, struct error *err)
{
        if (guest_write("/usr/lib/initvm/finish", 0755, guest_finish_script, err) < 0)
                return -1;
        /* Private: such commands like to hold tokens. */
        if (plan->early_command && guest_writef("/usr/lib/initvm/early-command", 0600, err, "%s\n", plan->early_command) < 0)
                return -1;
        if (plan->late_command && guest_writef("/usr/lib/initvm/late-command", 0600, err, "%s\n", plan->late_command) < 0)
                return -1;
        return 0;
}

static int apply_network(struct error *err)
{
        char *const enable[] = {"systemctl", "-q", "enable", "systemd-networkd.service", "systemd-resolved.service", NULL};

        if (guest_write(GUEST_NETWORK, 0644, guest_network, err) < 0 ||
            guest_link("../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf", err) < 0)
                return -1;
        return guest_run(enable, NULL, err);
}

int guest_apply_services(const struct guest *guest, struct error *err)
{
        const char *serial = streq(guest->plan->image->architecture, "arm64") ? "ttyAMA0" : "ttyS0";
        autofree char *getty = xasprintf("/etc/systemd/system/getty.target.wants/serial-getty@%s.service", serial);
        char *const enable[] = {"systemctl", "-q", "enable", "initvm-agent.service", "initvm-ssh-host-key.service", NULL};

        if ((!guest->keep_network && apply_network(err) < 0) ||
            guest_write(GUEST_WAIT_ONLINE, 0644, guest_wait_online, err) < 0 ||
            guest_write("/etc/systemd/system/systemd-udev-trigger.service.d/initvm.conf", 0644, coldplug, err) < 0 ||
            guest_write(GUEST_CONSOLE_LOGIN, 0644, guest_console_login, err) < 0 ||
            guest_link("/usr/lib/systemd/system/serial-getty@.service", getty, err) < 0 ||
            guest_write("/etc/ssh/sshd_config.d/initvm.conf", 0644, guest_sshd, err) < 0 ||
            guest_write("/etc/systemd/system/initvm-ssh-host-key.service", 0644, ssh_host_key, err) < 0 ||
            guest_write(GUEST_AGENT_UNIT, 0644, guest_agent_unit, err) < 0 || put_agent(guest->agent, err) < 0 ||
            apply_binfmt(err) < 0 || mask_services(guest->plan, err) < 0)
                return -1;
        return guest_run(enable, NULL, err);
}
