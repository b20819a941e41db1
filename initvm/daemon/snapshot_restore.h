/* SPDX-License-Identifier: MIT */
/*
 * The end of a snapshot's restore: kernel, initrd and size follow the image.  Both change together or not at all, whatever is
 * killed in between: initvm-image leaves a mark beside the image before it changes it, with the snapshot's name, which is removed
 * here when the record is written.  A mark that is found means that the image may be old, new, or on the way, and that nothing
 * has been done with it since: restoring once more makes it new.
 */
#pragma once

#include "daemon/vm.h"

/* The snapshot whose restore was begun and not completed; owned, NULL: none. */
char *snapshot_restore_pending(const char *vm_folder);

/* The image is that of the snapshot: the record follows, and is saved. On failure the restore stays pending. */
int snapshot_restore_finish(struct vm *vm, const char *name, struct json_object *result, struct error *err);

/* Once, when nothing works on the disk any more. */
typedef void (*snapshot_restored_fn)(void *userdata, const struct error *err);

/*
 * Completes the one that is pending (or does nothing when the image no longer has that snapshot), as a step of an operation of
 * the VM that is under way. `lock` is the disk's, and stays the caller's. -1 with err: it could not begin, and done is not
 * called.
 */
int snapshot_restore_complete(struct vm *vm, int lock, snapshot_restored_fn done, void *userdata, struct error *err);

/* Of a VM that is let go of: done is not called. NULL is fine. */
struct snapshot_completion;
void snapshot_restore_drop(struct snapshot_completion *completion);
