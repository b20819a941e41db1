/* SPDX-License-Identifier: MIT */
/* Compressed streams through libarchive, as blocking reads and writes. Nothing is looked at but the compression. */
#pragma once

#include "base/error.h"

/* What a file's name says of its compression: "zstd", "xz", "gzip", or "" for a plain ".tar". NULL: it says nothing. */
const char *compress_method(const char *name);

/* Everything from one fd, compressed by such a method, to the other. */
int compress_stream(int from, int to, const char *method, struct error *err);

/* The way back; which compression it is (any that libarchive knows, or none) is found out. A stream that is cut off or broken:
 * ERR_PROTOCOL. */
int decompress_stream(int from, int to, struct error *err);
