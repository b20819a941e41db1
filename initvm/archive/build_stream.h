/* SPDX-License-Identifier: MIT */
/*
 * What a build from a Dockerfile is made of, as one stream: the length of the Dockerfile in decimal digits, the Dockerfile, and
 * the context as of rootfs.h.
 */
#pragma once

#include "base/error.h"

#define BUILD_DOCKERFILE_MAX (1u << 20)

/* `text` is at most BUILD_DOCKERFILE_MAX bytes. ERR_DISCONNECTED when nobody reads any more. */
int build_stream_write(const char *text, const char *context, int fd, struct error *err);

/* The Dockerfile; the context is what is left to be read then. Owned; NULL on failure. */
char *build_stream_read(int fd, struct error *err);
