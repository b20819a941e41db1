/* SPDX-License-Identifier: MIT */
/*
 * Kernel and initrd that belong to a snapshot: they are outside of the image, and those of another time would not fit to its
 * modules. Kept as hard links in snapshots/NAME of the VM's folder.  Should they be lost, the VM boots with those that it has,
 * and the right ones are fetched when it is stopped (vm_boot.h).
 *
 * Holds, whatever is killed: a snapshot never has those of another one.  Those of a snapshot that is to be made lie ready in
 * snapshots/.new-NAME, which initvm-image renames when it has seen that there is none of that name, and before it makes it
 * (image/actions.c).  So there may be some without a snapshot, which are swept.
 */
#pragma once

#include "base/json.h"
#include "daemon/record.h"

/* The snapshot that 'initvm reset' goes back to, made at the end of create. */
#define SNAPSHOT_CREATED "created"

/* For a snapshot that is there, or that nobody can have made before. Those that were kept for that name are replaced. */
int snapshot_boot_keep(const struct vm_record *r, const char *vm_folder, const char *name, struct error *err);

/* For one that initvm-image is to make, or to refuse; and what is left of that when it has failed. */
int snapshot_boot_prepare(const struct vm_record *r, const char *vm_folder, const char *name, struct error *err);
void snapshot_boot_unprepare(const char *vm_folder, const char *name);

/* Makes them the ones that the VM boots; the record is changed, and to be saved by the caller. */
void snapshot_boot_restore(struct vm_record *r, const char *vm_folder, const char *name);

/* Removes those of all snapshots but these, which are [](name) as initvm-image answers them. */
void snapshot_boot_sweep(const char *vm_folder, struct json_object *snapshots);

/* Kernel and initrd of one folder in another one as well, as hard links. */
int snapshot_boot_link(const char *from, const char *to, struct error *err);
