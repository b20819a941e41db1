/* SPDX-License-Identifier: MIT */
/*
 * The lock of a VM's disk: flock(2) on disk.lock in its folder.  Who works on the image of a stopped VM holds it by an open file
 * that its children inherit, so that it goes when the last of them does: it survives the daemon, but not its owner.  (That two
 * programs write to an image at once is prevented by QEMU's own locks as well; these say nothing about whole operations.)
 */
#pragma once

#include "base/error.h"

/* Takes it without waiting: the fd, or -1 with ERR_STATE when it is held. */
int disk_lock(const char *folder, const char *vm_name, struct error *err);

/* The same to learn whether it could be taken. */
int disk_lock_check(const char *folder, const char *vm_name, struct error *err);
