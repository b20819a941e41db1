/* SPDX-License-Identifier: MIT */
#include "binfmt/architecture.h"

#include "base/util.h"

#include <elf.h>

/* Newer than the headers of Debian 12's libc. */
#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

/* glibc's elf.h has no names for these: the ELF supplements of ARM and of RISC-V. */
#define ARM_EABI5            0x05000000u
#define ARM_FLOAT_HARD       0x00000400u
#define ARM_FLOAT_SOFT       0x00000200u
#define RISCV_RVC_DOUBLE     0x00000005u
#define LOONGARCH_DOUBLE_OBJ 0x00000043u

#define CODE(s) .code = (s), .code_size = sizeof(s) - 1

/* The first twenty bytes, up to e_machine: class, data and machine differ. Any OS ABI, any of ET_EXEC and ET_DYN. */
#define HEAD(class_data)                                                                                                         \
        "\x7f"                                                                                                                   \
        "ELF" class_data "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"
#define LITTLE(machine) "\x02\x00" machine
#define BIG(machine)    "\x00\x02" machine
#define MASK_LITTLE     "\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
/* Besides, of the OS ABI the lowest two bits may be anything: GNU's own, 3, among them. */
#define MASK_BIG_GNU    "\xff\xff\xff\xff\xff\xff\xff\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff"
#define MASK_POWER      "\xff\xff\xff\xff\xff\xff\xff\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\x00"
#define MASK_LOONG      "\xff\xff\xff\xff\xff\xff\xff\xfc\x00\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
#define MASK_X86        "\xff\xff\xff\xff\xff\xfe\xfe\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
#define MASK_MIPS       "\xff\xff\xff\xff\xff\xff\xff\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
/* Up to the lowest byte of e_flags, whose bit 0x20 says that it is of the ABI n32. */
#define TO_FLAGS_32     "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

/*
 * Each proof loads argc from the top of its stack, adds 41 (0x29) to it, and exits with the sum; the numbers of exit(2) are those
 * of the kernel's tables, syscalls(2).  Assembled with GNU as, and the bytes of LoongArch also read back by hand.
 */
const struct architecture architectures[] = {
        {
                .name = "amd64",
                .qemu = "x86_64",
                .elf_class = ELFCLASS64,
                .elf_data = ELFDATA2LSB,
                .machine = EM_X86_64,
                .magic = HEAD("\x02\x01") LITTLE("\x3e\x00"),
                .mask = MASK_X86,
                .size = 20,
                CODE("\x48\x8b\x3c\x24"     /* mov (%rsp),%rdi */
                     "\x83\xc7\x29"         /* add $41,%edi */
                     "\xb8\x3c\x00\x00\x00" /* mov $60,%eax */
                     "\x0f\x05"),           /* syscall */
        },
        {
                .name = "arm64",
                .qemu = "aarch64",
                .elf_class = ELFCLASS64,
                .elf_data = ELFDATA2LSB,
                .machine = EM_AARCH64,
                .magic = HEAD("\x02\x01") LITTLE("\xb7\x00"),
                .mask = MASK_LITTLE,
                .size = 20,
                CODE("\xe0\x03\x40\xf9"   /* ldr x0,[sp] */
                     "\x00\xa4\x00\x91"   /* add x0,x0,#41 */
                     "\xa8\x0b\x80\xd2"   /* mov x8,#93 */
                     "\x01\x00\x00\xd4"), /* svc #0 */
        },
        {
                .name = "armhf",
                .qemu = "arm",
                .native_on = {"arm64"},
                .elf_class = ELFCLASS32,
                .elf_data = ELFDATA2LSB,
                .machine = EM_ARM,
                .flags = ARM_EABI5 | ARM_FLOAT_HARD,
                .abi_mask = ARM_FLOAT_HARD,
                .abi = ARM_FLOAT_HARD,
                .magic = HEAD("\x01\x01") LITTLE("\x28\x00"),
                .mask = MASK_LITTLE,
                .size = 20,
                CODE("\x00\x0a\x9d\xed"   /* vldr s0,[sp]: through a register of the floating-point unit */
                     "\x10\x0a\x10\xee"   /* vmov r0,s0 */
                     "\x29\x00\x80\xe2"   /* add r0,r0,#41 */
                     "\x01\x70\xa0\xe3"   /* mov r7,#1 */
                     "\x00\x00\x00\xef"), /* svc #0 */
        },
        {
                .name = "armel",
                .qemu = "arm",
                .native_on = {"armhf", "arm64"},
                .elf_class = ELFCLASS32,
                .elf_data = ELFDATA2LSB,
                .machine = EM_ARM,
                .flags = ARM_EABI5 | ARM_FLOAT_SOFT,
                .magic = HEAD("\x01\x01") LITTLE("\x28\x00"),
                .mask = MASK_LITTLE,
                .size = 20,
                CODE("\x00\x00\x9d\xe5"   /* ldr r0,[sp] */
                     "\x29\x00\x80\xe2"   /* add r0,r0,#41 */
                     "\x01\x70\xa0\xe3"   /* mov r7,#1 */
                     "\x00\x00\x00\xef"), /* svc #0 */
        },
        {
                .name = "i386",
                .qemu = "i386",
                .native_on = {"amd64"},
                .elf_class = ELFCLASS32,
                .elf_data = ELFDATA2LSB,
                .machine = EM_386,
                .magic = HEAD("\x01\x01") LITTLE("\x03\x00"),
                .mask = MASK_X86,
                .size = 20,
                CODE("\x8b\x1c\x24"         /* mov (%esp),%ebx */
                     "\x83\xc3\x29"         /* add $41,%ebx */
                     "\xb8\x01\x00\x00\x00" /* mov $1,%eax */
                     "\xcd\x80"),           /* int $0x80 */
        },
        {
                .name = "loong64",
                .qemu = "loongarch64",
                .elf_class = ELFCLASS64,
                .elf_data = ELFDATA2LSB,
                .machine = EM_LOONGARCH,
                .flags = LOONGARCH_DOUBLE_OBJ,
                .magic = HEAD("\x02\x01") LITTLE("\x02\x01"),
                .mask = MASK_LOONG,
                .size = 20,
                CODE("\x64\x00\xc0\x28"   /* ld.d $a0,$sp,0 */
                     "\x84\xa4\xc0\x02"   /* addi.d $a0,$a0,41 */
                     "\x0b\x74\x81\x03"   /* ori $a7,$zero,93 */
                     "\x00\x00\x2b\x00"), /* syscall 0 */
        },
        {
                .name = "mips64el",
                .qemu = "mips64el",
                .elf_class = ELFCLASS64,
                .elf_data = ELFDATA2LSB,
                .machine = EM_MIPS,
                .flags = EF_MIPS_ARCH_64R2,
                .magic = HEAD("\x02\x01") LITTLE("\x08\x00"),
                .mask = MASK_MIPS,
                .size = 20,
                CODE("\x00\x00\xa4\xdf"   /* ld $4,0($29) */
                     "\x29\x00\x84\x64"   /* daddiu $4,$4,41 */
                     "\xc2\x13\x02\x24"   /* li $2,5058 */
                     "\x0c\x00\x00\x00"), /* syscall */
        },
        {
                .name = "mipsel",
                .qemu = "mipsel",
                .native_on = {"mips64el"},
                .elf_class = ELFCLASS32,
                .elf_data = ELFDATA2LSB,
                .machine = EM_MIPS,
                .flags = EF_MIPS_ARCH_32R2 | 0x1000 /* the ABI o32 */,
                .abi_mask = EF_MIPS_ABI2,
                .magic = HEAD("\x01\x01") LITTLE("\x08\x00") TO_FLAGS_32 "\x00",
                .mask = MASK_MIPS TO_FLAGS_32 "\x20",
                .size = 37,
                CODE("\x00\x00\xa4\x8f"   /* lw $4,0($29) */
                     "\x29\x00\x84\x24"   /* addiu $4,$4,41 */
                     "\xa1\x0f\x02\x24"   /* li $2,4001 */
                     "\x0c\x00\x00\x00"), /* syscall */
        },
        {
                .name = "ppc64el",
                .qemu = "ppc64le",
                .elf_class = ELFCLASS64,
                .elf_data = ELFDATA2LSB,
                .machine = EM_PPC64,
                .flags = 2 /* ELFv2 */,
                .magic = HEAD("\x02\x01") LITTLE("\x15\x00"),
                .mask = MASK_POWER,
                .size = 20,
                CODE("\x00\x00\x61\xe8"   /* ld r3,0(r1) */
                     "\x29\x00\x63\x38"   /* addi r3,r3,41 */
                     "\x01\x00\x00\x38"   /* li r0,1 */
                     "\x02\x00\x00\x44"), /* sc */
        },
        {
                .name = "riscv64",
                .qemu = "riscv64",
                .elf_class = ELFCLASS64,
                .elf_data = ELFDATA2LSB,
                .machine = EM_RISCV,
                .flags = RISCV_RVC_DOUBLE,
                .magic = HEAD("\x02\x01") LITTLE("\xf3\x00"),
                .mask = MASK_LITTLE,
                .size = 20,
                CODE("\x03\x35\x01\x00"   /* ld a0,0(sp) */
                     "\x13\x05\x95\x02"   /* addi a0,a0,41 */
                     "\x93\x08\xd0\x05"   /* li a7,93 */
                     "\x73\x00\x00\x00"), /* ecall */
        },
        {
                .name = "s390x",
                .qemu = "s390x",
                .elf_class = ELFCLASS64,
                .elf_data = ELFDATA2MSB,
                .machine = EM_S390,
                .magic = HEAD("\x02\x02") BIG("\x00\x16"),
                .mask = MASK_BIG_GNU,
                .size = 20,
                CODE("\xe3\x20\xf0\x00\x00\x04" /* lg %r2,0(%r15) */
                     "\xa7\x2b\x00\x29"         /* aghi %r2,41 */
                     "\x0a\x01"),               /* svc 1 */
        },
        {0},
};

/* What uname(2) says where neither Debian nor QEMU says so. */
static const struct {
        const char *machine, *name;
} machines[] = {{"armv7l", "armhf"}, {"armv6l", "armhf"}, {"armv5tel", "armel"}, {"i686", "i386"}, {"i586", "i386"}};

const struct architecture *architecture_find(const char *name)
{
        for (const struct architecture *a = architectures; a->name; a++)
                if (streq(a->name, name))
                        return a;
        for (const struct architecture *a = architectures; a->name; a++)
                if (streq(a->qemu, name))
                        return a;
        for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
                if (streq(machines[i].machine, name))
                        return architecture_find(machines[i].name);
        return NULL;
}

bool architecture_maybe_native(const struct architecture *a, const char *machine)
{
        if (streq(a->name, machine))
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(a->native_on) && a->native_on[i]; i++)
                if (streq(a->native_on[i], machine))
                        return true;
        return false;
}

char *architecture_names(void)
{
        struct buf b = {0};

        for (const struct architecture *a = architectures; a->name; a++)
                buf_printf(&b, "%s%s", a == architectures ? "" : ", ", a->name);
        return buf_take_string(&b);
}
