/* SPDX-License-Identifier: MIT */
#include "daemon/vm_private.h"

#include <stdlib.h>

struct vm_waiter {
        struct vm *vm;
        enum vm_wanted wanted;
        struct loop_source *deadline;
        uint64_t timeout_ms;
        vm_done_fn fn;
        void *userdata;
        struct vm_waiter *prev, *next;
};

void vm_waiter_free(struct vm_waiter *w)
{
        if (!w)
                return;
        if (w->prev)
                w->prev->next = w->next;
        else
                w->vm->waiters = w->next;
        if (w->next)
                w->next->prev = w->prev;
        loop_source_free(w->deadline);
        free(w);
}

static void wake(struct vm_waiter *w, const struct error *err)
{
        vm_done_fn fn = w->fn;
        void *userdata = w->userdata;

        vm_waiter_free(w);
        fn(userdata, err);
}

void vm_wake_waiters(struct vm *vm, enum vm_wanted wanted, const struct error *err)
{
        struct vm_waiter *w = vm->waiters;

        while (w) {
                if (w->wanted & wanted) {
                        wake(w, err);
                        w = vm->waiters; /* fn may have changed any of them */
                } else {
                        w = w->next;
                }
        }
}

static void on_deadline(void *userdata)
{
        struct vm_waiter *w = userdata;
        const char *name = w->vm->record.name;
        struct error err = ERROR_INIT;

        if (w->wanted == VM_WANTED_AGENT && vm_starting(w->vm)) { /* a boot has a deadline of its own */
                loop_timer_arm(w->deadline, w->timeout_ms);
                return;
        }
        if (w->wanted == VM_WANTED_AGENT)
                error_set(&err, ERR_TIMEOUT, "the agent of VM '%s' does not answer; see 'initvm -n %s console --log'", name,
                          name);
        else
                error_set(&err, ERR_TIMEOUT, "VM '%s' has no console yet; see 'initvm -n %s status'", name, name);
        wake(w, &err);
}

static struct vm_waiter *waiter_new(struct vm *vm, enum vm_wanted wanted, uint64_t timeout_ms, vm_done_fn fn, void *userdata)
{
        struct vm_waiter *w = xcalloc(1, sizeof(*w));

        w->vm = vm;
        w->wanted = wanted;
        w->timeout_ms = timeout_ms;
        w->fn = fn;
        w->userdata = userdata;
        w->next = vm->waiters;
        if (w->next)
                w->next->prev = w;
        vm->waiters = w;
        w->deadline = loop_add_timer(vm->daemon->loop, on_deadline, w);
        loop_timer_arm(w->deadline, timeout_ms);
        return w;
}

struct vm_waiter *vm_when_ready(struct vm *vm, uint64_t timeout_ms, vm_done_fn fn, void *userdata)
{
        struct error err = ERROR_INIT;

        if (vm->agent_usable || vm->agent_error.code != ERR_NONE) {
                fn(userdata, vm->agent_usable ? NULL : &vm->agent_error);
                return NULL;
        }
        if (vm_reopen_channel(vm, &err) < 0) {
                fn(userdata, &err);
                return NULL;
        }
        return waiter_new(vm, VM_WANTED_AGENT, timeout_ms, fn, userdata);
}

struct vm_waiter *vm_when_console(struct vm *vm, vm_done_fn fn, void *userdata)
{
        if (vm->console) {
                fn(userdata, NULL);
                return NULL;
        }
        return waiter_new(vm, VM_WANTED_CONSOLE, CONSOLE_TIMEOUT_MS, fn, userdata);
}
