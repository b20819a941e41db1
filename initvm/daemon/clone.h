/* SPDX-License-Identifier: MIT */
/*
 * One clone: initvm-image copies the image of a VM that does not run into <state>/creating/NAME and gives the copy an identity of
 * its own, and the rename into <state>/vms/NAME makes it a VM.  Whatever ends it earlier, everything is removed.
 */
#pragma once

#include "daemon/vm.h"

struct clone;

/* Once; folder is the finished VM's, NULL on failure. */
typedef void (*clone_done_fn)(void *userdata, const char *folder, const struct error *err);

/* For the manager, which has checked that the name is free. NULL with err: the source runs or is busy. */
struct clone *clone_start(struct daemon *daemon, struct vm *source, const char *name, vm_progress_fn progress, clone_done_fn done,
                          void *userdata, struct error *err);

/* done comes with ERR_CANCELLED when everything has been removed. */
void clone_cancel(struct clone *c);

struct json_object *clone_describe(const struct clone *c);
