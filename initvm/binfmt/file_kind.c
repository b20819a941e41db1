/* SPDX-License-Identifier: MIT */
/* Nothing that the file says is believed before it was compared with what is there of it. */
#include "binfmt/file_kind.h"

#include "base/util.h"

#include <elf.h>
#include <string.h>

/* Programs that Debian has, or had, for machines that are not in our table: to call them by name. */
static const struct {
        uint16_t machine;
        uint8_t elf_class, elf_data; /* 0: any */
        const char *name;
} others[] = {
        {EM_X86_64, ELFCLASS32, 0, "x32"},
        {EM_AARCH64, 0, ELFDATA2MSB, "big-endian ARM (64 bit)"},
        {EM_ARM, 0, ELFDATA2MSB, "big-endian ARM (armeb)"},
        {EM_PPC64, 0, ELFDATA2MSB, "ppc64"},
        {EM_PPC, 0, 0, "powerpc"},
        {EM_MIPS, ELFCLASS64, ELFDATA2MSB, "mips64"},
        {EM_MIPS, 0, ELFDATA2MSB, "mips"},
        {EM_MIPS, ELFCLASS32, ELFDATA2LSB, "mipsn32el"},
        {EM_RISCV, ELFCLASS32, 0, "riscv32"},
        {EM_SPARCV9, 0, 0, "sparc64"},
        {EM_SPARC, 0, 0, "sparc"},
        {EM_SPARC32PLUS, 0, 0, "sparc32plus"},
        {EM_68K, 0, 0, "m68k"},
        {EM_PARISC, 0, 0, "hppa"},
        {EM_SH, 0, 0, "sh4"},
        {EM_IA_64, 0, 0, "ia64"},
        {EM_S390, ELFCLASS32, 0, "s390"},
        {EM_ALPHA, 0, 0, "alpha"},
        {0x9026, 0, 0, "alpha"}, /* what its tools write, elf.h's EM_ALPHA being only its official number */
};

/* A look into the head: numbers in the order of bytes that the file says it has. */
struct reader {
        const uint8_t *head;
        size_t n;
        bool big, wide;
};

static bool there(const struct reader *r, uint64_t at, uint64_t size)
{
        return at <= r->n && size <= r->n - at;
}

/* What is not there reads as 0. */
static uint64_t get(const struct reader *r, uint64_t at, size_t size)
{
        uint64_t value = 0;

        if (!there(r, at, size))
                return 0;
        for (size_t i = 0; i < size; i++)
                value = value << 8 | r->head[at + (r->big ? i : size - 1 - i)];
        return value;
}

/* A field that is at another place in each class, and as wide as the class. */
static uint64_t get_word(const struct reader *r, uint64_t base, size_t at32, size_t at64)
{
        return r->wide ? get(r, base + at64, 8) : get(r, base + at32, 4);
}

static const struct architecture *find_architecture(const struct file_kind *k)
{
        for (const struct architecture *a = architectures; a->name; a++)
                if (a->elf_class == k->elf_class && a->elf_data == k->elf_data && a->machine == k->machine &&
                    (k->flags & a->abi_mask) == a->abi)
                        return a;
        return NULL;
}

/* The loader that the program headers name; one that is not in the head is taken for none, and the kernel will tell. */
static void read_loader(const struct reader *r, struct file_kind *ret)
{
        uint64_t at = get_word(r, 0, offsetof(Elf32_Ehdr, e_phoff), offsetof(Elf64_Ehdr, e_phoff));
        uint64_t size = get(r, r->wide ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize), 2);
        uint64_t count = get(r, r->wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum), 2);

        if (size != (r->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
                return;
        for (uint64_t i = 0; i < count && there(r, at, size); i++, at += size) {
                uint64_t offset = get_word(r, at, offsetof(Elf32_Phdr, p_offset), offsetof(Elf64_Phdr, p_offset));
                uint64_t length = get_word(r, at, offsetof(Elf32_Phdr, p_filesz), offsetof(Elf64_Phdr, p_filesz));

                if (get(r, at, 4) != PT_INTERP)
                        continue;
                if (length > 0 && length <= sizeof(ret->interpreter) && there(r, offset, length) &&
                    r->head[offset + length - 1] == '\0')
                        memcpy(ret->interpreter, r->head + offset, length);
                return;
        }
}

static void read_elf(const uint8_t *head, size_t n, struct file_kind *ret)
{
        struct reader r = {.head = head, .n = n};
        uint64_t type;

        ret->type = FILE_ELF_CUT;
        if (n < EI_NIDENT || (head[EI_CLASS] != ELFCLASS32 && head[EI_CLASS] != ELFCLASS64) ||
            (head[EI_DATA] != ELFDATA2LSB && head[EI_DATA] != ELFDATA2MSB))
                return;
        r.wide = head[EI_CLASS] == ELFCLASS64;
        r.big = head[EI_DATA] == ELFDATA2MSB;
        if (n < (r.wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
                return;
        type = get(&r, offsetof(Elf32_Ehdr, e_type), 2);
        ret->type = type == ET_EXEC || type == ET_DYN ? FILE_PROGRAM : FILE_ELF_OTHER;
        ret->elf_class = head[EI_CLASS];
        ret->elf_data = head[EI_DATA];
        ret->machine = (uint16_t)get(&r, offsetof(Elf32_Ehdr, e_machine), 2);
        ret->flags = (uint32_t)get(&r, r.wide ? offsetof(Elf64_Ehdr, e_flags) : offsetof(Elf32_Ehdr, e_flags), 4);
        ret->architecture = find_architecture(ret);
        if (ret->type == FILE_PROGRAM)
                read_loader(&r, ret);
}

/* As the kernel does it: blanks around the path, which ends at the next blank or with the line. */
static void read_script(const char *head, size_t n, struct file_kind *ret)
{
        const char *at = head + 2, *end = head + MIN(n, (size_t)SCRIPT_LINE_MAX), *start;

        while (at < end && (*at == ' ' || *at == '\t'))
                at++;
        start = at;
        while (at < end && *at != ' ' && *at != '\t' && *at != '\n' && *at != '\0')
                at++;
        if (at == start)
                return;
        ret->type = FILE_SCRIPT;
        memcpy(ret->interpreter, start, (size_t)(at - start));
}

void file_kind_read(const void *head, size_t n, struct file_kind *ret)
{
        memset(ret, 0, sizeof(*ret));
        ret->type = n == 0 ? FILE_EMPTY : FILE_OTHER;
        if (n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
                read_elf(head, n, ret);
        else if (n >= 2 && memcmp(head, "#!", 2) == 0)
                read_script(head, n, ret);
}

bool file_kind_is_for(const struct file_kind *k, const struct architecture *a)
{
        return k->type == FILE_PROGRAM && k->architecture && streq(k->architecture->qemu, a->qemu);
}

static char *machine_text(const struct file_kind *k)
{
        if (k->architecture)
                return xstrdup(k->architecture->name);
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (others[i].machine == k->machine && (!others[i].elf_class || others[i].elf_class == k->elf_class) &&
                    (!others[i].elf_data || others[i].elf_data == k->elf_data))
                        return xstrdup(others[i].name);
        return xasprintf("the unknown ELF machine %u", k->machine);
}

char *file_kind_text(const struct file_kind *k)
{
        autofree char *machine = machine_text(k);

        switch (k->type) {
        case FILE_EMPTY:
                return xstrdup("an empty file");
        case FILE_SCRIPT:
                return xasprintf("a script for '%s'", k->interpreter);
        case FILE_ELF_CUT:
                return xstrdup("the beginning of a program, whose ELF header is cut off or broken");
        case FILE_ELF_OTHER:
                return xasprintf("an object file or a core for %s, and no program", machine);
        case FILE_PROGRAM:
                return xasprintf("a program for %s (%d-bit, %s-endian)", machine, k->elf_class == ELFCLASS64 ? 64 : 32,
                                 k->elf_data == ELFDATA2MSB ? "big" : "little");
        case FILE_OTHER:
                break;
        }
        return xstrdup("neither a program (ELF) nor a script ('#!')");
}
