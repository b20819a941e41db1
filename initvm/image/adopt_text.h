/* SPDX-License-Identifier: MIT */
/* What an adopted system's own files become: pure functions of their text. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* The kernel's options as the system's boot loader passes them: those of the first `linux` line of grub.cfg, but for the root
 * file system, which goes by its UUID, consoles, which are the domain's affair, and what is for a screen only. Owned; "" when
 * there are none. */
char *adopt_kernel_options(const char *grub_cfg);

/*
 * fstab(5) with the UUIDs of file systems in the place of disks' names, which are others in a VM of ours: "/dev/sda1" becomes
 * "UUID=...". uuid_of tells that of the partition of that number (owned), or NULL: then the line stays. Owned.
 */
typedef char *(*adopt_uuid_fn)(void *userdata, unsigned partition);
char *adopt_fstab(const char *fstab, adopt_uuid_fn uuid_of, void *userdata);

/* sshd_config(5) in which `file`, one of /etc/ssh/sshd_config.d, comes before everything else. Owned; as it was when Debian's own
 * line, which includes all of that folder, is the first directive already. */
char *adopt_sshd_config(const char *config, const char *file);

/* What inspection says of a system, in libguestfs' words (guestfs(3), guestfs_inspect_get_distro() and _arch()). */
struct adopt_system {
        const char *distribution, *architecture;
        bool systemd;
        bool partition; /* its root file system is one's whole content */
};

/* ERR_UNSUPPORTED with the reason when that cannot be a VM of `architecture` (as dpkg(1) names it). */
int adopt_check_system(const struct adopt_system *system, const char *architecture, struct error *err);
