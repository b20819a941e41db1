/* SPDX-License-Identifier: MIT */
/* For tests of build jobs: a "VM" that is a process of this machine, tests/lib/job_guest.py, behind a real channel. */
#pragma once

#include "daemon/job_machines.h"
#include "io/loop.h"

#include <sys/types.h>

struct job_vm {
        struct loop *loop;
        const char *name;
        char *folder; /* the guest's disk */
        uint64_t cpus;
        pid_t pid; /* of the guest, when this process has started it; 0: not */
        unsigned starts;
        unsigned endings; /* so often it ends while somebody waits for it */
        struct channel *channel;
        struct job_vm_waiter *waiters;
};

/* Takes up a guest that serves in the folder already; else it is off. */
void job_vm_init(struct job_vm *vm, struct loop *loop, const char *name, const char *folder);
void job_vm_done(struct job_vm *vm); /* lets go of the guest */
void job_vm_kill(struct job_vm *vm); /* as pulling the plug: waits for its end */
struct job_machines job_vm_machines(struct job_vm *vm);
