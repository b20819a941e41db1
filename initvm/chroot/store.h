/* SPDX-License-Identifier: MIT */
/*
 * The chroots of this machine as folders and locks.
 *
 *   STATE/chroots/NAME/root/         the tree; nobody changes it as long as it has that name
 *   STATE/chroots/NAME/chroot.json   what it is (store_record())
 *   STATE/chroots/.new-XXXXXX/       one that is being made, or taken away
 *   STATE/overlays/ID/               what a run or shell changes (overlay.h)
 *
 * A chroot is there from one rename on.  Who makes or uses one holds flock(2) on its folder, shared for a use, exclusive for a
 * change; the kernel gives it back however the holder ends.  What is hidden and not locked was left by somebody who was killed,
 * and the next store_open() removes it.  Names are looked up, locked and changed under STATE/chroots/.lock only.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>

#define STORE_STATE   "/var/lib/initvm"
#define STORE_RUNTIME "/run/initvm"

struct store {
        char *chroots;
        char *overlays;
        char *native; /* STATE/native: native_cache.h */
        char *mounts; /* RUNTIME/chroots */
};
#define autostore __attribute__((cleanup(store_done)))

/* Makes the folders and removes what was left. Needs root. */
int store_open(struct store *s, const char *state, const char *runtime, struct error *err);
void store_done(struct store *s);

/* A chroot's name: 1 to 64 of [a-z A-Z 0-9 . _ -], beginning with a letter or digit. It becomes a folder. */
#define CHROOT_NAME_MAX 64
int chroot_name_check(const char *name, struct error *err);

/* The lock over all names: to be held for looking up and renaming only. Returns the fd; waits for STORE_LOCK_TIMEOUT_S at most.
 */
#define STORE_LOCK_TIMEOUT_S 30u
int store_lock(const struct store *s, struct error *err);

/* Opens the folder of a chroot and locks it. Returns the fd that holds it. Not there: ERR_NOT_FOUND. Locked by somebody else:
 * ERR_STATE, with who that is. */
int store_use(const struct store *s, const char *name, bool exclusive, struct error *err);

/* The same by a name that may be anything, shared, for whoever does not hold store_lock(). */
int store_use_shared(const struct store *s, const char *name, struct error *err);

/* From a shared lock of ours to the exclusive one, or ERR_STATE and still shared. Under store_lock(). */
int store_use_alone(const struct store *s, const char *name, int fd, struct error *err);

/* A chroot that is being made: a folder with an empty root/. */
struct new_chroot {
        char *path;
        char *root;
        int fd; /* locked */
};
#define NEW_CHROOT_INIT                                                                                                          \
        {                                                                                                                        \
                .fd = -1                                                                                                         \
        }
#define autonew __attribute__((cleanup(new_chroot_done)))
int store_new(const struct store *s, struct new_chroot *ret, struct error *err);

/* Gives it its record and its name. `replaces`: the fd of store_use_alone() of the one that now has the name, and which then
 * goes; -1: the name must be free (ERR_EXISTS). Both under store_lock(). */
int store_commit(const struct store *s, struct new_chroot *n, const char *name, struct json_object *record, int replaces,
                 struct error *err);

/* Removes what was not committed. */
void new_chroot_done(struct new_chroot *n);

/* Takes a chroot away whose folder the caller has locked exclusively; not under store_lock(). It has gone with the first step. */
int store_remove(const struct store *s, const char *name, struct error *err);

/* ERR_EXISTS when there is one of this name, with what to do. */
int store_check_free(const struct store *s, const char *name, struct error *err);

/* Whether it is there. */
bool store_has(const struct store *s, const char *name);

/*
 * What a chroot is, chroot.json and what `initvm chroot show --json` prints:
 * {"name", "architecture", "suite", "variant", "packages": [...], "mirror", "created": seconds since 1970, "origin":
 * "mmdebstrap", "cache", "import", "clone of NAME" or "saved from NAME", "key": of one that is as it was made (inputs.h), "size":
 * bytes}.  Unknown ones are left out.  NULL when it cannot
 * be read.
 */
struct json_object *store_record(const struct store *s, const char *name, struct error *err);

/* The names, sorted. Owned; never NULL. */
char **store_names(const struct store *s);
