/* SPDX-License-Identifier: MIT */
/* What the files vm*.c share. */
#pragma once

#include "daemon/agent_update.h"
#include "daemon/vm.h"

struct vm {
        struct daemon *daemon;
        char *folder;
        struct vm_record record;
        virDomainPtr domain; /* while it runs */
        bool running_kvm;
        struct channel *channel;
        struct console *console;

        struct agent_update *agent_update; /* under way */
        bool agent_updated;                /* and its success was not seen yet */
        bool agent_usable;                 /* it said Hello, and speaks what we speak */
        struct error agent_error;          /* why it cannot be used, when that is final */

        const char *operation; /* "starting", "stopping": the one under way */
        uint64_t operation_started;
        vm_progress_fn progress;
        vm_done_fn done;
        void *userdata;
        struct loop_source *deadline;
        bool hello_wanted; /* the operation ends with Hello */
        bool stopping;     /* the domain's end is what the operation wants */
        struct vm_waiter *waiters;
};

void vm_operation_begin(struct vm *vm, const char *name, vm_progress_fn progress, vm_done_fn done, void *userdata);
void vm_operation_end(struct vm *vm, const struct error *err);
void vm_report(struct vm *vm, struct json_object *owned_progress);
void vm_save_record(struct vm *vm);

/* What a waiter waits for, and which waiters are woken. */
enum vm_wanted { VM_WANTED_AGENT = 1, VM_WANTED_CONSOLE = 2, VM_WANTED_ANY = 3 };
void vm_wake_waiters(struct vm *vm, enum vm_wanted wanted, const struct error *err);

/* The agent said Hello, or is gone: vm_agent.c. */
extern const struct channel_events vm_agent_events;
void vm_agent_forget(struct vm *vm);

/* Blocking, for a worker: both streams of a domain, open. */
int vm_open_streams(virDomainPtr domain, virStreamPtr *ret_console, virStreamPtr *ret_channel, struct error *err);
void vm_take_streams(struct vm *vm, virStreamPtr console, virStreamPtr channel);
