/* SPDX-License-Identifier: MIT */
/* libvirt's state of each domain is asked in a worker: while a domain starts, libvirt may hold its lock for a second. */
#include "daemon/clone.h"
#include "daemon/manager_private.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

struct description {
        struct manager *manager;
        char **names;
        virDomainPtr *domains; /* one per name; NULL when it has none */
        int *states;
        manager_described_fn fn;
        void *userdata;
};

static void ask(void *userdata)
{
        struct description *d = userdata;

        for (size_t i = 0; d->names && d->names[i]; i++)
                if (d->domains[i] && virDomainGetState(d->domains[i], &d->states[i], NULL, 0) < 0)
                        d->states[i] = VIR_DOMAIN_SHUTOFF; /* ended between the two */
}

static void on_asked(void *userdata)
{
        struct description *d = userdata;
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; d->names && d->names[i]; i++) {
                struct vm *vm = manager_find(d->manager, d->names[i], NULL);
                struct creation *creation = creation_find(d->manager, d->names[i]);

                if (vm)
                        json_object_array_add(array, vm_describe(vm, vm_active(vm) ? d->states[i] : VIR_DOMAIN_NOSTATE));
                else if (creation && creation->create) /* else destroyed meanwhile */
                        json_object_array_add(array, create_describe(creation->create));
                else if (creation && creation->clone)
                        json_object_array_add(array, clone_describe(creation->clone));
                if (d->domains[i])
                        virDomainFree(d->domains[i]);
        }
        d->fn(d->userdata, array);
        strv_free(d->names);
        free(d->domains);
        free(d->states);
        free(d);
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void manager_describe(struct manager *m, const char *name, manager_described_fn fn, void *userdata)
{
        struct description *d = xcalloc(1, sizeof(*d));
        size_t n;

        d->manager = m;
        d->fn = fn;
        d->userdata = userdata;
        for (size_t i = 0; i < m->n_vms; i++)
                if (!name || streq(vm_record(m->vms[i])->name, name))
                        strv_add(&d->names, vm_record(m->vms[i])->name);
        for (struct creation *c = m->creations; c; c = c->next)
                if (!name || streq(c->name, name))
                        strv_add(&d->names, c->name);
        n = strv_length(d->names);
        if (n > 1)
                qsort(d->names, n, sizeof(*d->names), by_name);
        d->domains = xcalloc(n, sizeof(*d->domains));
        d->states = xcalloc(n, sizeof(*d->states));
        for (size_t i = 0; i < n; i++) {
                struct vm *vm = manager_find(m, d->names[i], NULL);

                d->domains[i] = vm ? vm_domain(vm) : NULL;
                if (d->domains[i])
                        virDomainRef(d->domains[i]);
        }
        worker_run(m->daemon->worker, ask, on_asked, d);
}
