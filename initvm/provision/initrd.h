/* SPDX-License-Identifier: MIT */
/*
 * Initial RAM disks: cpio archives of the format "newc", compressed or not, one after the other; a later one's files replace an
 * earlier one's (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).  So files are added by appending an archive,
 * and what is there already need not be touched.
 */
#pragma once

#include "base/error.h"
#include "base/util.h"

#include <stddef.h>

/* An installer's initrd unpacks to some 130 MB; one that is larger than this is none, or meant to fill the memory. */
#define INITRD_UNPACKED_MAX (1024ull << 20)

/* Appends one member to the archive in `out`: a regular file, or a folder when `data` is NULL; mode has the permissions. The path
 * has no '/' at its start. Folders are not made by themselves. */
void initrd_add(struct buf *out, const char *path, unsigned mode, const void *data, size_t n);

/* Ends the archive, to a length that another one may follow. */
void initrd_end(struct buf *out);

/* Reads a whole initrd: gzip's members are decompressed, what is not compressed is taken as it is. */
int initrd_load(const char *path, struct buf *ret, struct error *err);

/* The content of a regular file in unpacked archives: that of the last one that has it. Owned, with a NUL behind it; NULL with
 * ERR_NOT_FOUND when none has, or ERR_INVALID when these are no archives. */
char *initrd_find(const void *data, size_t n, const char *path, struct error *err);
