/* SPDX-License-Identifier: MIT */
/* What vm.c, vm_start.c and vm_stop.c share. */
#pragma once

#include "daemon/vm.h"

struct vm {
        struct daemon *daemon;
        char *folder;
        struct vm_record record;
        virDomainPtr domain; /* while it runs */
        bool running_kvm;
        struct channel *channel;
        struct console *console;

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
void vm_wake_waiters(struct vm *vm, const struct error *err);

/* Blocking, for a worker: both streams of a domain, open. */
int vm_open_streams(virDomainPtr domain, virStreamPtr *ret_console, virStreamPtr *ret_channel, struct error *err);
void vm_take_streams(struct vm *vm, virStreamPtr console, virStreamPtr channel);
