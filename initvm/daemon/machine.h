/* SPDX-License-Identifier: MIT */
/* What differs between host architectures, in one table: the guest always has the host's. Sources: qemu-system-*(1), libvirt's
 * domain format page (os, serial), Debian's kernel packages. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct machine {
        const char *debian;   /* Debian's name: amd64 */
        const char *uname;    /* the kernel's and libvirt's name: x86_64 */
        const char *type;     /* QEMU machine type */
        const char *emulator; /* QEMU's program, its full path */
        const char *console;  /* the kernel's name of the first serial port */
        const char *serial_target, *serial_model;
        const char *features;         /* XML inside <features> */
        const char *tcg_cpu;          /* XML of <cpu> under software emulation */
        unsigned tcg_cpus;            /* so many CPUs at most under software emulation */
        const char *tcg_command_line; /* of the kernel, under software emulation */
        bool tcg_tsc;                 /* the kernel's clock there is the host's time stamp counter, if it is told its rate */
        const char *log_target, *log_model; /* the second serial port, where an installation's log goes */
};

/* By Debian's name. NULL when unknown. */
const struct machine *machine_find(const char *debian);

/* The host's. NULL with ERR_UNSUPPORTED elsewhere. */
const struct machine *machine_host(struct error *err);

/* A new VM's share of this host: a quarter of its memory between 2 and 16 GiB (never more than three quarters), all its CPUs up
 * to 16. Bytes and count. */
uint64_t machine_default_memory(void);
unsigned machine_default_cpus(void);
