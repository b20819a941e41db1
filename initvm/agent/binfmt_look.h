/* SPDX-License-Identifier: MIT */
/* What the kernel has in binfmt_misc, and what the guest's packages bring. */
#pragma once

#include "binfmt/entry.h"

struct binfmt_look {
        struct binfmt_found {
                struct binfmt_entry entry;
                char *text; /* of the kernel's file */
        } * found;
        size_t n;
};

/* Mounts binfmt_misc where it is not. */
int binfmt_mount(struct error *err);

/* Reads all entries and changes nothing. Those that are not understood are left out. ERR_STATE: it is not mounted. */
int binfmt_look(struct binfmt_look *ret, struct error *err);
void binfmt_look_done(struct binfmt_look *l);

/* The entry that the kernel would take for a program of that architecture: the one named as the distributions name it, where
 * there are several. NULL when there is none. */
const struct binfmt_found *binfmt_look_find(const struct binfmt_look *l, const struct architecture *a);

/* Whether any entry would be taken for that file. */
bool binfmt_look_matches(const struct binfmt_look *l, const char *name, const void *head, size_t n);

/* The path of an emulator that is there and static, so that it runs where nothing else of the guest is. Owned; NULL when there is
 * none. */
char *binfmt_interpreter(const struct architecture *a);

/* Has systemd-binfmt(8) make entries for them, in place of those of the same name. */
int binfmt_register(const struct architecture *const *wanted, size_t n, struct error *err);

/* "/etc/binfmt.d/qemu-arm.conf", when somebody has masked the entry (binfmt.d(5): a link to /dev/null); else NULL. Owned. */
char *binfmt_masked(const struct architecture *a);
