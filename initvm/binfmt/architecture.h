/* SPDX-License-Identifier: MIT */
/*
 * The architectures whose programs a guest can run: what Debian and QEMU call them, how their ELF headers look (elf(5)), by what
 * bytes the kernel's binfmt_misc knows them, and a proof program for each (binfmt/proof.h).
 *
 * Magic and mask are those of QEMU's own scripts/qemu-binfmt-conf.sh, as Debian's packages have them in binfmt.d(5).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct architecture {
        const char *name;         /* Debian's, dpkg-architecture(1): "armhf" */
        const char *qemu;         /* QEMU's: "arm", as in qemu-arm; several may share it */
        const char *native_on[3]; /* Debian names of machines whose CPUs run it besides its own; whether this one does is to be
                                     tried */

        uint8_t elf_class; /* ELFCLASS32 or ELFCLASS64 */
        uint8_t elf_data;  /* ELFDATA2LSB or ELFDATA2MSB */
        uint16_t machine;  /* e_machine */
        uint32_t flags;    /* e_flags of the proof program */
        uint32_t abi_mask; /* which bits of e_flags tell it from another one of the same machine ... */
        uint32_t abi;      /* ... and their values */

        const char *magic, *mask; /* `size` bytes each, from the file's beginning */
        size_t size;
        const char *code; /* of the proof program */
        size_t code_size;
};

/* Ends with a row whose name is NULL. Of those that share a machine the one whose ABI bits are tested comes first. */
extern const struct architecture architectures[];

/* By Debian's name, QEMU's name (the first that has it), or what uname(2) calls the machine ("x86_64", "armv7l"); NULL when there
 * is none. "arm" is QEMU's, and so the first of Debian's two. */
const struct architecture *architecture_find(const char *name);

/* Whether a machine of that Debian name may run its programs without an emulator. */
bool architecture_maybe_native(const struct architecture *a, const char *machine);

/* The Debian names, for messages: "arm64, armhf, ...". Owned. */
char *architecture_names(void);
