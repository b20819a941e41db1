/* SPDX-License-Identifier: MIT */
/*
 * An entry of binfmt_misc, as the kernel shows it in /proc/sys/fs/binfmt_misc and as binfmt.d(5) has it
 * (Documentation/admin-guide/binfmt-misc.rst).
 */
#pragma once

#include "base/error.h"
#include "binfmt/architecture.h"

#define BINFMT_FOLDER "/proc/sys/fs/binfmt_misc"

/* The kernel takes no longer line (MAX_REGISTER_LENGTH), and shows each byte of magic and mask as two digits. */
#define BINFMT_LINE_MAX 1920
#define BINFMT_TEXT_MAX 8192

/* P: argv[0] is kept; O: the program is handed over open; C: with the program's rights, as for setuid; F: the interpreter is
 * opened when the entry is made, so that it is there in every chroot and mount namespace. */
#define BINFMT_FLAGS "POCF"

struct binfmt_entry {
        char *name;
        bool enabled;
        char *interpreter;
        char flags[8];
        char *extension; /* of an entry that goes by the file's name: ".jar"; NULL: by magic */
        uint64_t offset;
        uint8_t *magic, *mask; /* `size` bytes each */
        size_t size;
};

/* Reads the text of the kernel's file `name`. ERR_INVALID says what is not as expected. */
int binfmt_entry_parse(const char *name, const char *text, struct binfmt_entry *ret, struct error *err);
void binfmt_entry_done(struct binfmt_entry *e);

/* Whether the kernel would take it for a file of that name (its end counts) that begins with these bytes. */
bool binfmt_entry_matches(const struct binfmt_entry *e, const char *name, const void *head, size_t n);

/* Enabled, with all of BINFMT_FLAGS. */
bool binfmt_entry_good(const struct binfmt_entry *e);

/* A line for binfmt.d(5): ":qemu-arm:M::...". Owned. */
char *binfmt_config(const struct architecture *a, const char *interpreter);
