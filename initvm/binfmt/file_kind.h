/* SPDX-License-Identifier: MIT */
/* What a file is, as far as executing it goes, by its first bytes: elf(5), execve(2). Bytes in, a description out. */
#pragma once

#include "binfmt/architecture.h"

#include <limits.h>

/* As many bytes as are worth looking at: the headers, and in practice the name of the loader. A shorter file is whole. */
#define FILE_HEAD_MAX (64u * 1024)

/* The kernel reads no more of a script's first line: BINPRM_BUF_SIZE in linux/binfmts.h. */
#define SCRIPT_LINE_MAX 256

enum file_kind_type {
        FILE_EMPTY,
        FILE_OTHER,     /* nothing that execve(2) knows by itself */
        FILE_SCRIPT,    /* "#!" and an interpreter */
        FILE_ELF_CUT,   /* begins as ELF does, and its header is not whole or not one */
        FILE_ELF_OTHER, /* an object file or a core: no program */
        FILE_PROGRAM,   /* ELF, ET_EXEC or ET_DYN */
};

struct file_kind {
        enum file_kind_type type;
        char interpreter[PATH_MAX]; /* of a script; of a program its loader (PT_INTERP), "" for a static one */
        /* Of ELF: */
        uint8_t elf_class, elf_data;
        uint16_t machine;
        uint32_t flags;
        const struct architecture *architecture; /* NULL: none of ours */
};

/* Looks at the first n bytes of a file: all of it, or FILE_HEAD_MAX. */
void file_kind_read(const void *head, size_t n, struct file_kind *ret);

/* Whether it is a program for that architecture: the machine counts and not the ABI, as with binfmt_misc. Static programs of
 * armel and armhf cannot always be told apart. */
bool file_kind_is_for(const struct file_kind *k, const struct architecture *a);

/* "a program for armhf", "a script for '/bin/sh'", "an empty file": what it is, in words that follow "'x' is". Owned. */
char *file_kind_text(const struct file_kind *k);
