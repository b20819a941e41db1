/* SPDX-License-Identifier: MIT */
/*
 * A tree as a copy of another one whose files are hard links: cheap, and safe because neither is changed as long as it is a
 * chroot's. Folders are made anew, with owner, mode, times and extended attributes.
 *
 * `upper` is what an overlay over that tree has changed (Linux: overlayfs.rst, "whiteouts and opaque directories"), without
 * redirections and metadata-only copies, which overlay.h switches off.  Its files are moved, not copied: it is used up.  All of
 * it is on one filesystem.
 */
#pragma once

#include "base/error.h"

/* `to` must be there and empty. upper: NULL for an unchanged copy. What was half done stays in `to`. */
int farm_copy(const char *base, const char *upper, const char *to, struct error *err);

/* Folders deeper than that are refused: each is three open fds. */
#define FARM_DEPTH_MAX 256
