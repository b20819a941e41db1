/* SPDX-License-Identifier: MIT */
/*
 * Work on the disk of a VM that does not run, by initvm-image as a child: an operation of the VM like its start, so that there is
 * one at a time and everybody else is told what is going on.
 */
#pragma once

#include "daemon/vm.h"

struct vm_disk_options {
        const char *method; /* of org.initvm.image, without that; static */
        const char *doing;  /* "having its disk checked"; static */
        bool appliance;     /* it looks into the image, for which it is to be known whether KVM works */
};

/* Once. The result is borrowed. */
typedef void (*vm_disk_done_fn)(void *userdata, struct json_object *result, const struct error *err);

struct vm_disk;

/* `owned_parameters` are those of the method, without `image` and `kvm`. NULL with err: the VM runs or is busy, or somebody else
 * works on its disk. Else done is called later. */
struct vm_disk *vm_disk_start(struct vm *vm, const struct vm_disk_options *options, struct json_object *owned_parameters,
                              vm_progress_fn progress, vm_disk_done_fn done, void *userdata, void *progress_userdata,
                              struct error *err);

/* done comes with ERR_CANCELLED, when nothing works on the disk any more. */
void vm_disk_cancel(struct vm_disk *d);

/* Of a VM that is let go of: the child ends, done is not called. NULL is fine. */
void vm_disk_drop(struct vm_disk *d);

/* What interrupted work has left in the folder of a VM whose disk nobody works on: an import that was committed is completed
 * (import.h), the rest removed; the record gets the size that the disk has. */
int vm_disk_recover(struct vm_record *record, const char *folder, struct error *err);
