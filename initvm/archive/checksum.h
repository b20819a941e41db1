/* SPDX-License-Identifier: MIT */
/* SHA-256 sums of the files in a tar stream, as sha256sum(1) prints them. */
#pragma once

#include "base/digest.h"
#include "base/error.h"

#include <stdint.h>

/* Called for each regular file, in the stream's order; returns 0, or -1 with *err, which ends the reading. */
typedef int (*checksum_fn)(void *userdata, const char *name, uint64_t size, const char *sha256, struct error *err);

/* Reads the whole stream from fd. A stream that is broken off or malformed, or holds something that is neither a file, a folder
 * nor a symbolic link: ERR_PROTOCOL or ERR_DISCONNECTED. Blocks. */
int checksum_tar(int fd, checksum_fn fn, void *userdata, struct error *err);
