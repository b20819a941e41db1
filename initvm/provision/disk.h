/* SPDX-License-Identifier: MIT */
/*
 * The disk: a GPT with a small partition for the bootloader (BIOS boot partition, or an EFI system partition on arm64),
 * swap, and the root as the last one, so that it can grow with the disk.
 */
#pragma once

#include "base/error.h"
#include "provision/plan.h"

#include <stdint.h>

#define DISK_UUID_SIZE 37 /* with its NUL */

struct disk_layout {
        uint64_t size;
        uint64_t boot_start, boot_size;
        uint64_t swap_start, swap_size; /* 0: none */
        uint64_t root_start, root_size;
        bool efi;
        char root_uuid[DISK_UUID_SIZE]; /* of the file system, not of the partition */
        char swap_uuid[DISK_UUID_SIZE];
        char efi_id[10]; /* "1A2B-3C4D" */
};

/* Decides everything, makes nothing. ERR_INVALID when the disk is too small for even that. */
int disk_layout_init(struct disk_layout *layout, const struct plan *plan, struct error *err);

/* The input of sfdisk(8). */
char *disk_sfdisk_script(const struct disk_layout *layout);

/* Writes an empty swap area into the open disk (mkswap(8)'s page; linux/swap.h: union swap_header). */
int disk_write_swap(int fd, const struct disk_layout *layout, struct error *err);

/* The root file system: everything below `root` on its own file system, made by mke2fs(8) into the open disk `fd`. Called inside
 * mmdebstrap's namespaces; mounts there are hidden, in a mount namespace of its own. */
int disk_make_root(int fd, const char *root, const struct disk_layout *layout, const char *filesystem, struct error *err);
