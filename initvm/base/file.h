/* SPDX-License-Identifier: MIT */
/* Files and folders: read whole, write atomically, lock, remove a tree. Every fd is O_CLOEXEC from birth. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The whole file, NUL-terminated (the NUL is not counted), owned; NULL on failure or when it is longer than max. */
char *file_read(const char *path, size_t max, size_t *ret_size, struct error *err);

/* Writes a temporary file beside it, syncs, renames: readers and crashes see the old or the new content, whole. */
int file_write_atomic(const char *path, mode_t mode, const void *data, size_t n, struct error *err);

/* Brings the content of a file to the disk. */
int file_sync(const char *path, struct error *err);

/* Makes the folder and its parents; those it makes get `mode`. One that is there is fine. */
int dir_make(const char *path, mode_t mode, struct error *err);

/* Removes a file or a tree without following links or crossing into another file system. Nothing there is fine. */
int tree_remove(const char *path, struct error *err);

/* Allocated bytes of a tree (0 when it is not there). */
uint64_t tree_size(const char *path);

/* Takes an exclusive flock(2) on path (made when missing, 0600). Returns the fd that holds it. When it is held by
 * somebody else: ERR_STATE at once, or after waiting when `wait`. -1 on failure. */
int file_lock(const char *path, bool wait, struct error *err);

/* Writes all n bytes to a blocking fd. */
int fd_write_all(int fd, const void *data, size_t n);
/* The same at an offset of a file. */
int fd_write_at(int fd, const void *data, size_t n, int64_t offset);

int fd_set_nonblock(int fd, bool nonblock);
