/* SPDX-License-Identifier: MIT */
/*
 * One VM: its record and folder, its libvirt domain while it runs, its console and its agent's channel.  libvirt knows only
 * running VMs: the domain is defined at the start and undefined after the stop, and everything about a stopped VM is in its
 * folder.
 *
 * It is defined at all, and not transient, because libvirt disposes of a transient domain in a thread of its own at the moment it
 * ends, and that deadlocks with the closing of our streams (virChrdevFree against virStreamAbort, libvirt 9.0).
 *
 * Starting and stopping are event-driven: libvirt's slow calls run in the worker, Hello and the domain's end arrive as events,
 * and a timer bounds each wait.  One operation at a time per VM.
 */
#pragma once

#include "daemon/channel.h"
#include "daemon/console.h"
#include "daemon/daemon.h"
#include "daemon/record.h"

#include <libvirt/libvirt.h>

struct vm;

/* What a boot may take from the domain's start to the agent's Hello. Emulation is about ten times slower than KVM. */
#define START_TIMEOUT_KVM_MS (60 * 1000)
#define START_TIMEOUT_TCG_MS (300 * 1000)
/* What a guest may take to shut down before it is killed. */
#define STOP_TIMEOUT_MS      (90 * 1000)

/* The folder holds vm.json and the image. NULL when the record cannot be read. */
struct vm *vm_load(struct daemon *daemon, const char *folder, struct error *err);
void vm_free(struct vm *vm); /* lets go of a running domain, which lives on; NULL is fine */

const struct vm_record *vm_record(const struct vm *vm);
const char *vm_folder(const struct vm *vm);
void vm_moved(struct vm *vm, const char *folder);     /* its folder was renamed */
bool vm_busy(const struct vm *vm, struct error *err); /* an operation is under way: ERR_STATE naming it */
bool vm_active(const struct vm *vm);                  /* has a domain */
bool vm_starting(const struct vm *vm);                /* a start is under way, with a domain or not yet */
const char *vm_acceleration(const struct vm *vm);     /* "kvm" or "tcg", while it runs */
struct channel *vm_channel(struct vm *vm);            /* NULL when not running */
struct console *vm_console(struct vm *vm);            /* NULL when not running */

/* err is NULL on success. Called exactly once per operation. */
typedef void (*vm_done_fn)(void *userdata, const struct error *err);
typedef void (*vm_progress_fn)(void *userdata, struct json_object *owned_progress);

/* What the agent's last Hello said of the architectures whose programs it can execute: an array as of GetInfo in
 * wire/org.initvm.agent.varlink, borrowed; NULL when it said nothing of that, or was not heard yet. */
struct json_object *vm_binfmt(const struct vm *vm);

/* What is started is debian-installer, not the system: `folder` has its kernel and initrd, `command_line` is the kernel's. Both
 * of its serial ports are heard from the first byte on. The start ends as soon as it runs, and does not wait for an agent. */
struct vm_installation {
        const char *folder, *command_line;
        void (*console)(void *userdata, const void *data, size_t n);
        void (*log)(void *userdata, const void *data, size_t n);
        void *userdata;
};

struct vm_start_options {
        const struct vm_installation *installation; /* borrowed until the domain's end; NULL: the system itself is started */
        bool from_disk;                             /* by the boot loader on its disk: nothing is known of its kernel yet */
        const char *probe_kernel; /* from_disk only: another one by which KVM is tried; borrowed until the start's end */
        uint64_t timeout_ms;      /* 0: the default for the acceleration */
        bool unsafe_writes;
        bool no_kvm_told; /* that there is no KVM was told by the start before */
        bool with_port;   /* the virtio-serial port also when the agent is to be reached by SSH, which the first boot prepares */
};
/* Until the agent's Hello; of a running VM it only waits for that. A VM that fails to get there goes on running for inspection,
 * unless it ended by itself. */
void vm_start(struct vm *vm, const struct vm_start_options *options, vm_progress_fn progress, vm_done_fn done, void *userdata);

/* A start that has no domain yet (vm_active()) ends with ERR_CANCELLED as soon as it can: without one, or with one that has
 * executed nothing and is to be stopped. */
void vm_abandon_start(struct vm *vm);

struct vm_stop_options {
        uint64_t timeout_ms; /* 0: STOP_TIMEOUT_MS; then the VM is killed */
        bool force;          /* kill at once */
};
void vm_stop(struct vm *vm, const struct vm_stop_options *options, vm_progress_fn progress, vm_done_fn done, void *userdata);

/* Waits, as an operation of this name, for a running domain to end by itself. done gets an error only when it was killed. */
void vm_await_end(struct vm *vm, const char *operation, vm_done_fn done, void *userdata);

/*
 * Calls fn once: with NULL as soon as the agent answers (at once when it does already), with the reason when the VM ends or
 * timeout_ms pass first. A VM that was just taken up again, or whose agent restarts, needs a moment; one that is being started
 * has the time that its start has, and timeout_ms from then on. The waiter can be given up.
 */
#define READY_TIMEOUT_MS (30 * 1000) /* for commands */
struct vm_waiter;
struct vm_waiter *vm_when_ready(struct vm *vm, uint64_t timeout_ms, vm_done_fn fn,
                                void *userdata); /* NULL: fn was called already */
/* The same for the console, which is there as soon as libvirt has created the domain: seconds after the start has begun. */
#define CONSOLE_TIMEOUT_MS (60 * 1000)
struct vm_waiter *vm_when_console(struct vm *vm, vm_done_fn fn, void *userdata);
void vm_waiter_free(struct vm_waiter *w);

/* From the manager: libvirt says that the domain has ended / is there already when the daemon starts (owned reference). */
void vm_domain_stopped(struct vm *vm, int detail);
/* ... or that it was reset, which is the guest's own doing: a reboot, or a panic. */
void vm_domain_rebooted(struct vm *vm);
void vm_adopt(struct vm *vm, virDomainPtr owned_domain);

/* After the start of the daemon: a record that says "running" without a domain means that it ended while nobody looked. */
void vm_check_ended(struct vm *vm);

/* That the last reboot of this run was a panic of the kernel, with the console's last lines (daemon/guest_panic.h); else NULL. */
const char *vm_panic(const struct vm *vm);

/* The Vm of the interface; domain_state is libvirt's (VIR_DOMAIN_NOSTATE without a domain). */
struct json_object *vm_describe(struct vm *vm, int domain_state);
/* What of it the record alone tells, for a VM whose image is (or will be) in `folder`. */
struct json_object *vm_describe_record(const struct vm_record *r, const char *folder, const char *state);
virDomainPtr vm_domain(struct vm *vm); /* borrowed; NULL when stopped */
