/* SPDX-License-Identifier: MIT */
/*
 * What one run or shell changes in a chroot: an overlay (Linux: Documentation/filesystems/overlayfs.rst) over its tree.
 *
 *   STATE/overlays/ID/upper, work     what was changed
 *   STATE/overlays/ID/session.json    {"chroot", "pid", "command", "since"}, locked by flock(2) as long as its owner lives
 *   RUNTIME/chroots/ID/root           the mounted whole, for whoever looks from the VM
 */
#pragma once

#include "chroot/store.h"

struct overlay {
        const struct store *store;
        char *id; /* NAME.XXXXXXXX; with nothing but what a machine's name may have, and so of use for systemd-nspawn as well */
        char *folder;
        char *upper;
        char *mount; /* RUNTIME/chroots/ID */
        char *root;  /* RUNTIME/chroots/ID/root */
        int lock;
        bool mounted;
};
#define OVERLAY_INIT                                                                                                             \
        {                                                                                                                        \
                .lock = -1                                                                                                       \
        }
#define autooverlay __attribute__((cleanup(overlay_done)))

/* Mounts one over the chroot `name`, whose folder the caller has locked. `command` is for those who ask who uses it. What is
 * changed belongs to that project (base/project.h); 0: to none. */
int overlay_new(const struct store *s, const char *name, const char *command, uint32_t project, struct overlay *ret,
                struct error *err);

/* Unmounts; what was changed is still in `upper`. Fails when a process still works in it. */
int overlay_unmount(struct overlay *o, struct error *err);

/* Unmounts and removes everything. */
void overlay_done(struct overlay *o);

/* Removes the overlays whose owners have ended without doing so. */
int overlay_remove_left(const struct store *s, struct error *err);

/* Who else uses the chroot, under store_lock(): "'COMMAND' (pid N in the VM)", and so on. Owned; NULL when no run or shell does.
 */
char *overlay_users(const struct store *s, const char *name);

/* Of which chroot the overlay ID is one. Owned; NULL when it is gone. */
char *overlay_chroot(const struct store *s, const char *id);
