/* SPDX-License-Identifier: MIT */
/* Tar archives made by hand, as nobody honest would make them; and what is left of a folder afterwards. */
#pragma once

#include "base/error.h"
#include "base/util.h"

#include <stdint.h>

/* Appends a ustar header, type as in tar(5): '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' folder, '6' fifo.
 */
void tar_entry(struct buf *tar, char type, const char *name, const char *link, unsigned mode, uint64_t size);
/* A file with content. */
void tar_file(struct buf *tar, const char *name, const char *content);
/* A pax header (type 'x') with one record for the entry that follows. */
void tar_pax(struct buf *tar, const char *key, const char *value);
void tar_end(struct buf *tar);

/* An fd to read these bytes from. */
int fd_of(const void *data, size_t n);
/* Everything that pack() makes of the paths, as bytes; fails the test when it fails. */
void pack_bytes(char *const *paths, struct buf *ret);

/* "a d/ d/b l@": the names below a folder, sorted, folders with a slash, symbolic links with an @. Owned. */
char *names_below(const char *folder);
