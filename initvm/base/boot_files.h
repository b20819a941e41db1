/* SPDX-License-Identifier: MIT */
/* The kernels of a Debian system: /boot/vmlinuz-RELEASE and /boot/initrd.img-RELEASE (Debian's linux-base, initramfs-tools). */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* The release of the newest kernel in `folder`, by the order that GRUB has, too (strverscmp(3)); of those that have an initrd
 * when `with_initrd`. Owned; NULL with ERR_NOT_FOUND when there is none. */
char *boot_newest(const char *folder, bool with_initrd, struct error *err);

/* The same of a folder whose names are these. */
char *boot_newest_of(char *const *names, bool with_initrd);
