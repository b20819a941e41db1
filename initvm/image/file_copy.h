/* SPDX-License-Identifier: MIT */
/* Copies of images: made beside, and renamed when they are whole. */
#pragma once

#include "base/error.h"
#include "io/run.h"

#include <stdint.h>

/* The name of a copy of a VM's image that is being made, in the VM's folder. What is interrupted leaves it; it is removed when
 * the next one is made, and when the daemon starts. Owned. */
char *file_copy_name(const char *path);

/* Copies the file with its holes; shares its blocks where the file system can (ioctl_ficlone(2)). ERR_NO_SPACE, with how much is
 * missing, before anything is written. */
int file_copy(struct run *run, const char *from, const char *to, struct error *err);

/* ERR_NO_SPACE, with the figures, when a copy that takes `need` bytes has no place at `to`. */
int file_check_space(const char *to, uint64_t need, struct error *err);

/* Brings the new file to the disk and renames it over the old one, whose mode and owner it gets. */
int file_replace(const char *from, const char *to, struct error *err);
