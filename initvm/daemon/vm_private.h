/* SPDX-License-Identifier: MIT */
/* What the files vm*.c share. */
#pragma once

#include "daemon/agent_update.h"
#include "daemon/vm.h"
#include "daemon/vm_boot.h"
#include "daemon/vm_disk.h"

struct vm {
        struct daemon *daemon;
        char *folder;
        struct vm_record record;
        virDomainPtr domain; /* while it runs */
        bool running_kvm;
        struct channel *channel;
        char *channel_trouble; /* why there is no connection by SSH: one sentence, NULL when there is nothing to say */
        bool channel_over;     /* it has ended for good; the next who wants the agent begins a new one */
        bool by_ssh;           /* ... in this run */
        uint16_t ssh_port;     /* forwarded in this run; 0: none */
        pid_t passt;           /* the process behind ssh_port, when this daemon started it; 0: not */
        struct loop_source *passt_exit;
        struct console *console;
        char *panic;                                /* vm_panic() */
        const struct vm_installation *installation; /* that runs in the place of the system; NULL: none */
        struct virt_stream *installation_log;

        struct agent_update *agent_update; /* under way */
        bool agent_updated;                /* and its success was not seen yet */
        bool agent_usable;                 /* it said Hello, and speaks what we speak */
        bool growing; /* its disk, while it runs: one at a time, or the later one could cut off what the earlier one has added */
        struct json_object *binfmt; /* what it said the VM can execute; NULL: it did not */
        struct error agent_error;   /* why it cannot be used, when that is final */

        struct vm_disk *disk;                   /* work on the disk of the stopped VM, under way: then it is the operation */
        struct snapshot_completion *completion; /* a step of that or of a start, under way */

        struct boot_refresh *boot_refresh; /* under way, before the shutdown */

        const char *operation; /* "starting", "stopping": the one under way */
        uint64_t operation_started;
        vm_progress_fn progress;
        vm_done_fn done;
        void *userdata;
        struct loop_source *deadline;
        bool abandoned;                 /* the start under way: nobody wants it any more */
        bool hello_wanted;              /* the operation ends with Hello */
        struct stopping *stop_prepared; /* what comes before the guest is asked, under way: vm_stop.c */
        bool stopping;                  /* the domain's end is what the operation wants */
        struct vm_waiter *waiters;
};

void vm_operation_begin(struct vm *vm, const char *name, vm_progress_fn progress, vm_done_fn done, void *userdata);
void vm_operation_end(struct vm *vm, const struct error *err);
void vm_report(struct vm *vm, struct json_object *owned_progress);
void vm_save_record(struct vm *vm);
void vm_stop_forget(struct vm *vm); /* the domain has ended while the stop was prepared */

/* What a waiter waits for, and which waiters are woken. */
enum vm_wanted { VM_WANTED_AGENT = 1, VM_WANTED_CONSOLE = 2, VM_WANTED_ANY = 3 };
void vm_wake_waiters(struct vm *vm, enum vm_wanted wanted, const struct error *err);

/* The agent said Hello, or is gone: vm_agent.c. */
extern const struct channel_events vm_agent_events;
void vm_agent_forget(struct vm *vm);

/* Blocking, for a worker: both streams of a domain, open; *ret_channel is NULL without the port. */
int vm_open_streams(virDomainPtr domain, bool port, virStreamPtr *ret_console, virStreamPtr *ret_channel, struct error *err);
/* Blocking, for a worker: the second serial port of an installation. NULL with err when it cannot be opened. */
virStreamPtr vm_open_installation_log(virDomainPtr domain, struct error *err);

/* Takes both. Without the port the agent is reached by SSH. */
void vm_take_streams(struct vm *vm, virStreamPtr console, virStreamPtr channel);

/* Begins anew when the channel by SSH has ended for good. */
int vm_reopen_channel(struct vm *vm, struct error *err);
void vm_close_channel(struct vm *vm);
void vm_channel_ended(void *userdata, const struct error *why); /* of the channel's events */
void vm_set_trouble(struct vm *vm, const char *text);           /* copied; NULL: there is none */

/* Waits for the end of the process that is the VM's network: while the VM runs that is a failure. */
void vm_watch_network(struct vm *vm, pid_t passt);
void vm_forget_network(struct vm *vm); /* it ends with QEMU, and is reaped then */
