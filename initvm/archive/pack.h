/* SPDX-License-Identifier: MIT */
/*
 * Files into a tar stream: files, folders and symbolic links with their modes, times and holes; each folder before what is in it.
 *
 * What cannot be read or has no place in a copy (a device, a socket) is told of as a warning (report.h) and left out.  A file
 * that becomes shorter while it is read ends the stream without its end, so that nobody takes it for whole.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct pack_options {
        int fd;             /* of the stream */
        int reports;        /* fd for report.h */
        char *const *paths; /* symbolic links that are named here are followed; each goes in under its name_of_source() */
        const char *below; /* NULL; else a folder that the paths are relative to: no symbolic link is followed then, and each goes
                            * in under its whole path, behind the folders on the way. They must be in pack_order(), none of them
                            * in another one, without '.' and '..' */
        bool total;        /* walk through everything first, and report the size */
};

/* Folders nested deeper are left out: each is an open fd on the way. */
#define PACK_DEPTH_MAX 500

/* A path that is not there: ERR_NOT_FOUND, before anything is written. Nobody reads any more: ERR_DISCONNECTED. */
int pack(const struct pack_options *options, struct error *err);

/* As strcmp(3), but a folder stands right before everything that is in it. */
int pack_order(const char *a, const char *b);

/* What is read from an fd up to its end, as files of that content in pieces: for unpack_content(). */
int pack_content(int from, int fd, struct error *err);
