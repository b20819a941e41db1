/* SPDX-License-Identifier: MIT */
/*
 * The kernel and the initrd that a VM is booted with are copies of the guest's own, beside its image.  When the guest has another
 * kernel, or has made its initrd anew, they are fetched before it is shut down:
 *
 *   FOLDER/kernel, initrd           what create has taken out
 *   FOLDER/boot-XXXXXX/kernel, ...  what was fetched later; vm.json names the folder that counts
 */
#pragma once

#include "daemon/record.h"

#define BOOT_FOLDER_PREFIX "boot-"

struct vm;
struct boot_refresh;

/* One answer of the guest, or a whole initrd under emulation. */
#define BOOT_REFRESH_TIMEOUT_MS (30 * 1000)

/* The folder that has kernel and initrd: owned. */
char *boot_folder(const struct vm_record *r, const char *folder);

/* Calls done once, or not at all when it is given up first; what goes wrong is in the log, and the old files stay. NULL: it could
 * not begin, and done is not called. */
typedef void (*boot_refresh_fn)(struct vm *vm);
struct boot_refresh *boot_refresh_start(struct vm *vm, boot_refresh_fn done);
void boot_refresh_cancel(struct boot_refresh *b); /* NULL is fine */

/* Removes what an interrupted one has left. */
void boot_remove_left(const struct vm_record *r, const char *folder);
