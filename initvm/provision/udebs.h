/* SPDX-License-Identifier: MIT */
/*
 * The installer's components (udebs): which of them an installer will fetch from a mirror, known from the mirror's index and from
 * the list of those that its initrd holds already.  Pure functions; the rules are anna's (its README and anna.c): everything of
 * priority standard and above, for every kernel or for the one that runs; what these depend on; and what is installed in another
 * version than the index has.
 *
 * A mirror may hold an index that names components of another kernel, or files that it does not have.  Then an installation ends
 * minutes later with a question about kernel modules; so this is found out before it begins.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

struct udebs {
        char *kernel;  /* of the installer: "6.12.94+deb13-amd64" */
        char **wanted; /* names of what it will fetch, sorted by where they are in the index; NULL: nothing */
};

/*
 * index: a Packages file of debian-installer's section; installed: the initrd's /var/lib/dpkg/status.  Fails when the installer's
 * kernel cannot be told (ERR_INVALID), or when the index has no components for it (ERR_UNSUPPORTED, naming those kernels for
 * which it has).
 */
int udebs_read(struct udebs *ret, const char *index, const char *installed, struct error *err);
void udebs_done(struct udebs *u);
