/* SPDX-License-Identifier: MIT */
/* Where a copy goes, as cp(1) has it; and files that appear under their names only when they are whole. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/*
 * Where a copy to `path` goes.  A folder that is there (also through a symbolic link; "" is the current one): into it, under the
 * names of the sources.  Anything else: into the folder that it is in, under its own name; a symbolic link to a file is followed,
 * and what is neither a file nor absent (a device) is refused.
 */
struct target {
        int folder;       /* owned */
        char *path;       /* of the folder, for messages; "" is the current one; owned */
        char *name;       /* NULL: the sources' own; owned */
        bool only_folder; /* `path` ended in a slash: under `name` there can only be a folder */
};
#define TARGET_INIT                                                                                                              \
        {                                                                                                                        \
                .folder = -1                                                                                                     \
        }

int target_find(const char *path, struct target *ret, struct error *err);
void target_done(struct target *t);
#define autotarget __attribute__((cleanup(target_done)))

/* A file that is being written: beside its place, under a name of its own. One at a time. */
struct new_file {
        int folder; /* borrowed */
        int fd;     /* for who writes; -1 when there is none */
        char name[32];
};

/* Begins one with exactly this mode, when umask(2) is 0. */
int new_file_begin(struct new_file *f, int folder, mode_t mode);
/* The same for a symbolic link; fd stays -1. */
int new_file_symlink(struct new_file *f, int folder, const char *content);
/* Puts it under its name, instead of a file or link that is there. Nothing is forced to the disk: as cp(1) leaves it. */
int new_file_finish(struct new_file *f, const char *name);
/* Removes it, unless it was finished or never begun. All return 0, or -1 with errno. */
void new_file_abandon(struct new_file *f);
#define NEW_FILE_INIT                                                                                                            \
        {                                                                                                                        \
                .folder = -1, .fd = -1                                                                                           \
        }
