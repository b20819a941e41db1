/* SPDX-License-Identifier: MIT */
/*
 * Native helpers (native.h), laid out once for a chroot and all who enter it, as long as neither it nor the VM changes.
 *
 *   STATE/native/NAME.KEY/helpers/   the helpers of the chroot NAME
 *   STATE/native/NAME.KEY/none/      an empty folder
 *   STATE/native/.new-XXXXXX/        one that is being laid out
 *
 * KEY stands for everything that they were made of.  Who uses or makes one holds flock(2) on its folder.  One that nobody holds
 * is removed as soon as there is another one of the same chroot, or no such chroot any more.
 */
#pragma once

#include "chroot/store.h"

struct native_cache {
        char *folder; /* NULL: there is nothing to gain */
        int lock;
};
#define NATIVE_CACHE_INIT                                                                                                        \
        {                                                                                                                        \
                .lock = -1                                                                                                       \
        }
#define autonativecache __attribute__((cleanup(native_cache_done)))

/* Finds the helpers of the chroot `name`, which the caller has locked, or lays them out. `root` is a tree with its content. */
int native_cache_open(const struct store *s, const char *name, const char *root, struct native_cache *ret, struct error *err);
void native_cache_done(struct native_cache *n);

/* Removes what nobody uses of those of `name`, all but `keep` (a path; NULL: none). */
void native_cache_sweep(const struct store *s, const char *name, const char *keep);
