/* SPDX-License-Identifier: MIT */
#include "daemon/job_machines.h"

#include "daemon/daemon.h"
#include "daemon/manager.h"
#include "daemon/vm.h"

#include <stdlib.h>

/* An agent that was restarted, or whose VM was taken up by this daemon, answers within seconds; a guest that is busy takes
 * longer. After that nobody can say what becomes of its jobs. */
#define ANSWER_TIMEOUT_MS START_TIMEOUT_TCG_MS

/* Somebody who waits for a VM that is just being stopped. */
struct waiting {
        char *vm;
        bool start;
        job_ready_fn fn;
        void *userdata;
        struct waiting *next;
};

struct daemon_machines {
        struct daemon *daemon;
        struct waiting *waiting;
};

struct daemon_machines *daemon_machines_new(struct daemon *daemon)
{
        struct daemon_machines *m = xcalloc(1, sizeof(*m));

        m->daemon = daemon;
        return m;
}

static void waiting_free(struct waiting *w)
{
        free(w->vm);
        free(w);
}

void daemon_machines_free(struct daemon_machines *m)
{
        if (!m)
                return;
        while (m->waiting) {
                struct waiting *w = m->waiting;
                m->waiting = w->next;
                waiting_free(w);
        }
        free(m);
}

static int find(void *userdata, const char *name, struct job_machine *ret, struct error *err)
{
        struct daemon_machines *m = userdata;
        struct vm *vm = manager_find(m->daemon->manager, name, err);

        if (!vm)
                return -1;
        *ret = (struct job_machine){
                .cpus = vm_record(vm)->cpus,
                .suite = vm_record(vm)->suite,
                .architecture = vm_record(vm)->architecture,
                .acceleration = vm_active(vm) ? vm_acceleration(vm) : NULL,
                .channel = vm_channel(vm),
                .panic = vm_panic(vm),
        };
        return 0;
}

static void wait_for_change(struct daemon_machines *m, const char *name, bool start, job_ready_fn fn, void *userdata)
{
        struct waiting *w = xcalloc(1, sizeof(*w));

        *w = (struct waiting){.vm = xstrdup(name), .start = start, .fn = fn, .userdata = userdata, .next = m->waiting};
        m->waiting = w;
}

static void ready(void *userdata, const char *name, bool start, job_ready_fn fn, void *fn_userdata)
{
        static const struct vm_start_options options = {0};
        struct daemon_machines *m = userdata;
        struct error err = ERROR_INIT;
        struct vm *vm = manager_find(m->daemon->manager, name, &err);

        if (!vm) {
                fn(fn_userdata, &err);
        } else if (vm_busy(vm, NULL) && !vm_starting(vm)) {
                wait_for_change(m, name, start, fn, fn_userdata);
        } else if (vm_active(vm) || vm_starting(vm)) {
                vm_when_ready(vm, ANSWER_TIMEOUT_MS, fn, fn_userdata);
        } else if (start) {
                vm_start(vm, &options, NULL, fn, fn_userdata);
        } else {
                const char *reason = vm_record(vm)->reason;
                error_set(&err, ERR_STATE, "VM '%s' has ended meanwhile: %s", name, reason ? reason : "it was stopped");
                fn(fn_userdata, &err);
        }
}

struct job_machines daemon_machines_ops(struct daemon_machines *m)
{
        return (struct job_machines){.find = find, .ready = ready, .userdata = m};
}

void daemon_machines_changed(struct daemon_machines *m)
{
        struct waiting *all = m ? take_ptr(m->waiting) : NULL;

        while (all) {
                struct waiting *w = all;
                all = w->next;
                ready(m, w->vm, w->start, w->fn, w->userdata);
                waiting_free(w);
        }
}
