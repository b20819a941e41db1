/* SPDX-License-Identifier: MIT */
/*
 * What `chroot create` has made, kept on the host for the next one that asks for the same, in whichever VM.
 *
 *   CACHE/chroots/KEY/root.tar.zst   the tree; its time of modification is when it was used last
 *   CACHE/chroots/KEY/entry.json     {"key", "inputs", "digest" and "size" of the archive, "created": seconds since 1970}
 *   CACHE/chroots/.new-XXXXXX/       one that is being written, or taken away
 *
 * The key is the VM's: what goes into a chroot, as initvm/chroot/inputs.h has it.  An entry is there from one rename on.  Who
 * writes one holds flock(2) on its folder; what is hidden and not locked was left by somebody who was killed, and goes with the
 * next chroot_cache_open().  Nothing is synced: what a crash has torn, its checksum tells.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

struct chroot_cache {
        char *folder;
};
#define autocache __attribute__((cleanup(chroot_cache_done)))

/* folder: NULL for that of the user, or of INITVM_HOME. */
int chroot_cache_open(struct chroot_cache *c, const char *folder, struct error *err);
void chroot_cache_done(struct chroot_cache *c);

/* 1: *ret_fd is its archive, whole, and it counts as used now; 0: there is none. One that is broken is removed: 0, and
 * *ret_broken (owned) says in a sentence what it was. */
int chroot_cache_use(const struct chroot_cache *c, const char *key, int *ret_fd, char **ret_broken, struct error *err);

/* One that is being written. */
struct new_entry {
        char *path;
        int lock;
        int fd; /* the archive, to be written */
};
#define NEW_ENTRY_INIT                                                                                                           \
        {                                                                                                                        \
                .lock = -1, .fd = -1                                                                                             \
        }
#define autoentry __attribute__((cleanup(new_entry_done)))
int chroot_cache_new(const struct chroot_cache *c, struct new_entry *ret, struct error *err);

/* Gives it its key. Who else has written the same meanwhile was first: ours goes. What was made of the same inputs from an older
 * state of the mirror goes, too: nobody will ask for it again. */
int chroot_cache_commit(const struct chroot_cache *c, struct new_entry *n, const char *key, struct json_object *inputs,
                        struct error *err);
void new_entry_done(struct new_entry *n);

/* What is there, the one used last first: entry.json with "used", seconds since 1970. Of one whose entry.json cannot be read only
 * "key", "size", "used". Owned. */
struct json_object *chroot_cache_list(const struct chroot_cache *c);

/* One that is not there is fine. */
int chroot_cache_remove(const struct chroot_cache *c, const char *key, struct error *err);
