/* SPDX-License-Identifier: MIT */
#include "daemon/machine.h"

#include "base/util.h"

#include <sys/utsname.h>
#include <unistd.h>

#define GIB        ((uint64_t)1 << 30)
#define MEMORY_MIN (2 * GIB)
#define MEMORY_MAX (16 * GIB)
#define CPUS_MAX   16

/*
 * Emulated CPUs do not speculate, so that mitigations would only cost time, and so would clearing every page once more: what
 * hardens a kernel against its own users has no place in a VM with one.
 *
 * "norandmaps" is worth more than all the rest.  QEMU finds the code that it has translated by its physical and its virtual
 * address: with random addresses every execve(2) has the program, the dynamic linker and the C library translated once more,
 * which makes up nine tenths of the time that a short program takes.
 */
#define TCG_COMMAND_LINE "mitigations=off init_on_alloc=0 norandmaps"

static const struct machine machines[] = {
        {
                .debian = "amd64",
                .uname = "x86_64",
                .type = "q35",
                .emulator = "/usr/bin/qemu-system-x86_64",
                .console = "ttyS0",
                .serial_target = "isa-serial",
                .serial_model = "isa-serial",
                .features = "<acpi/><apic/>",
                /*
                 * No cx16: QEMU 7.2's cmpxchg16b leaves garbage in EFLAGS, which becomes visible at the next interrupt (NT, VM,
                 * ...); Linux 6.12 uses the instruction in its allocator and died of double faults in two boots of three.  No
                 * la57: a fifth level of page tables only makes every emulated page walk longer.  No erms: it promises that
                 * "rep movsb" is the quickest copy, and emulated it goes byte by byte (reading from the page cache is five times
                 * as quick without).
                 */
                .tcg_cpu = "<cpu mode='maximum'><feature policy='disable' name='cx16'/><feature policy='disable' "
                           "name='la57'/><feature policy='disable' name='erms'/></cpu>",
                /*
                 * Linux patches its own code while it runs (static keys: the first TCP connection, a BPF program, a control
                 * group's controller ...), with an int3 in the place of what changes meanwhile (text_poke_bp(),
                 * arch/x86/kernel/alternative.c).  QEMU 7.2 lets another CPU's thread go on with a translation of that int3 after
                 * it is gone: "Oops: int3", and the guest has panicked, in one boot of about ten with two CPUs.  One CPU is also
                 * the quicker one for whatever starts many processes.
                 */
                .tcg_cpus = 1,
                .tcg_command_line = TCG_COMMAND_LINE,
                /* Emulated CPUs share one time stamp counter; without "reliable" Linux would not believe it and read the HPET,
                 * one exit to QEMU for each look at the clock.  Its rate is not left to be measured there (tsc.h). */
                .tcg_tsc = true,
                .log_target = "isa-serial",
                .log_model = "isa-serial",
        },
        {
                .debian = "arm64",
                .uname = "aarch64",
                .type = "virt",
                .emulator = "/usr/bin/qemu-system-aarch64",
                .console = "ttyAMA0",
                .serial_target = "system-serial",
                .serial_model = "pl011",
                /* No ACPI: libvirt has it on arm64 only with UEFI, and a kernel that is booted directly gets a device tree. */
                .features = "<gic version='3'/>",
                .tcg_cpu = "<cpu mode='maximum'/>",
                .tcg_cpus = CPUS_MAX,
                .tcg_command_line = TCG_COMMAND_LINE,
                .log_target = "pci-serial",
                .log_model = "pci-serial",
        },
};

const struct machine *machine_find(const char *debian)
{
        for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
                if (streq(machines[i].debian, debian))
                        return &machines[i];
        return NULL;
}

const struct machine *machine_host(struct error *err)
{
        struct utsname u;

        if (uname(&u) == 0)
                for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
                        if (streq(machines[i].uname, u.machine))
                                return &machines[i];
        error_set(err, ERR_UNSUPPORTED, "this host's architecture '%s' is not supported: x86_64 and aarch64 are", u.machine);
        return NULL;
}

uint64_t machine_default_memory(void)
{
        uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        uint64_t share = MIN(MAX(total / 4, MEMORY_MIN), MEMORY_MAX);

        return MIN(share, total / 4 * 3) / (1 << 20) * (1 << 20);
}

unsigned machine_default_cpus(void)
{
        long n = sysconf(_SC_NPROCESSORS_ONLN);

        return (unsigned)MIN(MAX(n, 1), CPUS_MAX);
}
