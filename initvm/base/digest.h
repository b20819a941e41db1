/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4) through libmd, the only place that includes its header. A digest as text is 64 lower-case hex digits. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define DIGEST_LENGTH 64

/* In parts: what digest_end() returns is owned, and `d` is gone then. */
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *data, size_t n);
char *digest_end(struct digest *d);

/* Of n bytes; of everything that can still be read from fd. Owned; the latter NULL when reading fails. */
char *digest_bytes(const void *data, size_t n);
char *digest_fd(int fd, struct error *err);

/* Whether a text could be one. */
bool digest_valid(const char *text);
