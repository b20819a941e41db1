/* SPDX-License-Identifier: MIT */
/*
 * Kernel and initrd that belong to a snapshot: they are outside of the image, and those of another time would not fit to its
 * modules. Kept as hard links in snapshots/NAME of the VM's folder.  Should they be lost, the VM boots with those that it has,
 * and the right ones are fetched when it is stopped (vm_boot.h).
 */
#pragma once

#include "daemon/record.h"

/* The snapshot that 'initvm reset' goes back to, made at the end of create. */
#define SNAPSHOT_CREATED "created"

int snapshot_boot_keep(const struct vm_record *r, const char *vm_folder, const char *name, struct error *err);

/* Makes them the ones that the VM boots; the record is changed, and to be saved by the caller. */
void snapshot_boot_restore(struct vm_record *r, const char *vm_folder, const char *name);

void snapshot_boot_remove(const char *vm_folder, const char *name);

/* Kernel and initrd of one folder in another one as well, as hard links. */
int snapshot_boot_link(const char *from, const char *to, struct error *err);
