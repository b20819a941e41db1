/* SPDX-License-Identifier: MIT */
#include "binfmt/proof.h"

#include <elf.h>
#include <string.h>

/* Where the whole file is mapped: above what vm.mmap_min_addr keeps free, and a multiple of every page size in use. */
#define ADDRESS    0x100000u
#define PAGE_ALIGN 0x10000u

/* Puts numbers in the order of bytes of the architecture. */
struct writer {
        uint8_t *at;
        bool big, wide;
};

static void put(struct writer *w, uint64_t value, size_t n)
{
        for (size_t i = 0; i < n; i++)
                w->at[w->big ? n - 1 - i : i] = (uint8_t)(value >> (8 * i));
        w->at += n;
}

/* Addresses, offsets and sizes are as wide as the class. */
static void put_word(struct writer *w, uint64_t value)
{
        put(w, value, w->wide ? 8 : 4);
}

/* Elf32_Ehdr or Elf64_Ehdr, elf(5). */
static void put_header(struct writer *w, const struct architecture *a, size_t header, size_t program_header)
{
        const uint8_t ident[EI_NIDENT] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, a->elf_class, a->elf_data, EV_CURRENT};

        memcpy(w->at, ident, sizeof(ident));
        w->at += sizeof(ident);
        put(w, ET_EXEC, 2);
        put(w, a->machine, 2);
        put(w, EV_CURRENT, 4);
        put_word(w, ADDRESS + header + program_header); /* e_entry */
        put_word(w, header);                            /* e_phoff */
        put_word(w, 0);                                 /* e_shoff */
        put(w, a->flags, 4);
        put(w, header, 2);         /* e_ehsize */
        put(w, program_header, 2); /* e_phentsize */
        put(w, 1, 2);              /* e_phnum */
        put(w, 0, 2);              /* e_shentsize */
        put(w, 0, 2);              /* e_shnum */
        put(w, 0, 2);              /* e_shstrndx */
}

/* Elf32_Phdr or Elf64_Phdr: one segment, the whole file, to be read and executed. The order of the fields differs. */
static void put_program_header(struct writer *w, size_t size)
{
        put(w, PT_LOAD, 4);
        if (w->wide)
                put(w, PF_R | PF_X, 4);
        put_word(w, 0);       /* p_offset */
        put_word(w, ADDRESS); /* p_vaddr */
        put_word(w, ADDRESS); /* p_paddr */
        put_word(w, size);    /* p_filesz */
        put_word(w, size);    /* p_memsz */
        if (!w->wide)
                put(w, PF_R | PF_X, 4);
        put_word(w, PAGE_ALIGN);
}

size_t proof_program(const struct architecture *a, uint8_t ret[PROOF_SIZE_MAX])
{
        struct writer w = {.at = ret, .big = a->elf_data == ELFDATA2MSB, .wide = a->elf_class == ELFCLASS64};
        size_t header = w.wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
        size_t program_header = w.wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
        size_t size = header + program_header + a->code_size;

        put_header(&w, a, header, program_header);
        put_program_header(&w, size);
        memcpy(w.at, a->code, a->code_size);
        return size;
}
