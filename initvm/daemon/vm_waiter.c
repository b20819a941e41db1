/* SPDX-License-Identifier: MIT */
#include "daemon/vm_private.h"

#include <stdlib.h>

struct vm_waiter {
        struct vm *vm;
        struct loop_source *deadline;
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

void vm_wake_waiters(struct vm *vm, const struct error *err)
{
        while (vm->waiters)
                wake(vm->waiters, err);
}

static void on_deadline(void *userdata)
{
        struct vm_waiter *w = userdata;
        struct error err = ERROR_INIT;

        error_set(&err, ERR_TIMEOUT, "the agent of VM '%s' does not answer; see 'initvm -n %s console --log'", w->vm->record.name,
                  w->vm->record.name);
        wake(w, &err);
}

struct vm_waiter *vm_when_ready(struct vm *vm, uint64_t timeout_ms, vm_done_fn fn, void *userdata)
{
        struct vm_waiter *w;

        if (channel_ready(vm->channel)) {
                fn(userdata, NULL);
                return NULL;
        }
        w = xcalloc(1, sizeof(*w));
        w->vm = vm;
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
