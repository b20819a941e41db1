/* SPDX-License-Identifier: MIT */
/*
 * Whole root filesystems as tar streams and back, with what cp leaves out: numeric owners, set-user-ID bits, hard links, fifos
 * and extended attributes (capabilities).  Not what lives with a machine only: sockets, and devices, which whoever enters such a
 * tree brings along.
 */
#pragma once

#include "base/error.h"

/* Both want a locale whose encoding is UTF-8, as it is in pax archives. */

/* Writes the content of the folder `path` to fd, as "./" and so on. Nobody may change it meanwhile. Folders deeper than
 * PACK_DEPTH_MAX (pack.h): ERR_UNSUPPORTED. */
int rootfs_pack(const char *path, int fd, struct error *err);

/*
 * Makes a tree of such a stream in the empty folder `path`, as root.  The stream is not trusted: nothing is made outside of the
 * folder. Each entry's folder is found by openat2(2), beneath it and through no symbolic link.  Refused with ERR_PROTOCOL, and
 * named: absolute names, "..", paths through symbolic links, hard links to what is not there before, devices but for those below
 * dev/, which are left out, and attributes but user.* and security.capability.  An entry that comes twice replaces the first one.
 */
int rootfs_unpack(int fd, const char *path, struct error *err);
