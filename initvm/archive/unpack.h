/* SPDX-License-Identifier: MIT */
/*
 * Tar streams into files.  Nobody here trusts the stream: nothing is ever made outside of the target, whatever it says and
 * whatever is changed in the target meanwhile.  Every folder on the way is opened by its name in the one above, never through a
 * symbolic link.  Refused, with an error that names the entry: absolute names, "..", names that were not asked for, paths through
 * symbolic links, hard links, and whatever is no file, folder or symbolic link.
 *
 * A file appears under its name when it is whole, instead of a file or symbolic link that is there.  Folders are merged.  Modes
 * and times are the stream's, but for those of folders that were there; set-user-ID and set-group-ID bits are left out, and owner
 * is whoever runs this.
 *
 * For processes that do nothing else: umask(2) must be 0.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct unpack_options {
        int fd;             /* the stream */
        const char *target; /* as of target.h */
        bool into;          /* `target` must be a folder that is there */
        char *const *names; /* the names (name.h) that may come; NULL: any. More than one needs `into` */
};

/* Folders deeper than that are refused: each is an open fd. */
#define UNPACK_DEPTH_MAX 500

int unpack(const struct unpack_options *options, struct error *err);

/* The content of all files of a stream, one after the other, to an fd. A folder or link among them is an error. */
int unpack_content(int from, int to, struct error *err);

/* The same into the one file `target`, whole or not at all, with the mode of one that is there, else 0644. */
int unpack_to_file(int from, const char *target, struct error *err);
