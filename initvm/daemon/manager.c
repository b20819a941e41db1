/* SPDX-License-Identifier: MIT */
#include "daemon/manager.h"

#include "base/file.h"
#include "base/log.h"
#include "daemon/clone.h"
#include "daemon/libvirt_connection.h"
#include "daemon/manager_private.h"
#include "daemon/virt_stream.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct creation *creation_find(struct manager *m, const char *name)
{
        for (struct creation *c = m->creations; c; c = c->next)
                if (streq(c->name, name))
                        return c;
        return NULL;
}

bool manager_creating(struct manager *m, const char *name)
{
        return creation_find(m, name) != NULL;
}

struct vm *manager_creating_vm(struct manager *m, const char *name)
{
        struct creation *c = creation_find(m, name);

        return c && c->create ? create_vm(c->create) : NULL;
}

struct vm *manager_find(struct manager *m, const char *name, struct error *err)
{
        for (size_t i = 0; i < m->n_vms; i++)
                if (streq(vm_record(m->vms[i])->name, name))
                        return m->vms[i];
        if (creation_find(m, name))
                error_set(err, ERR_STATE, "VM '%s' is still being created; 'initvm list' shows when it is there", name);
        else
                error_set(err, ERR_NOT_FOUND, "there is no VM '%s'; create it with 'initvm -n %s create', or see 'initvm list'",
                          name, name);
        return NULL;
}

void manager_add(struct manager *m, struct vm *vm)
{
        m->vms = xrealloc(m->vms, m->n_vms + 1, sizeof(*m->vms));
        m->vms[m->n_vms++] = vm;
        daemon_changed(m->daemon);
}

void manager_remove(struct manager *m, struct vm *vm)
{
        for (size_t i = 0; i < m->n_vms; i++)
                if (m->vms[i] == vm) {
                        m->vms[i] = m->vms[--m->n_vms];
                        break;
                }
        vm_free(vm);
        daemon_changed(m->daemon);
}

static struct vm *find_by_uuid(struct manager *m, virDomainPtr domain)
{
        char uuid[VIR_UUID_STRING_BUFLEN];

        if (virDomainGetUUIDString(domain, uuid) < 0)
                return NULL;
        for (size_t i = 0; i < m->n_vms; i++)
                if (streq(vm_record(m->vms[i])->uuid, uuid))
                        return m->vms[i];
        for (struct creation *c = m->creations; c; c = c->next) {
                struct vm *vm = c->create ? create_vm(c->create) : NULL;
                if (vm && streq(vm_record(vm)->uuid, uuid))
                        return vm;
        }
        return NULL;
}

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *opaque)
{
        struct manager *m = opaque;
        struct vm *vm;

        (void)connection;
        if (event != VIR_DOMAIN_EVENT_STOPPED)
                return 0;
        vm = find_by_uuid(m, domain);
        if (vm)
                vm_domain_stopped(vm, detail);
        return 0;
}

static void on_reboot(virConnectPtr connection, virDomainPtr domain, void *opaque)
{
        struct vm *vm = find_by_uuid(opaque, domain);

        (void)connection;
        if (vm)
                vm_domain_rebooted(vm);
}

struct manager *manager_new(struct daemon *daemon, struct error *err)
{
        struct manager *m = xcalloc(1, sizeof(*m));
        autofree char *root = xasprintf("%s/libvirt", daemon->paths.state);

        m->daemon = daemon;
        daemon->libvirt = libvirt_connect(root, err);
        if (!daemon->libvirt) {
                free(m);
                return NULL;
        }
        m->lifecycle = virConnectDomainEventRegisterAny(daemon->libvirt, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                                        VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), m, NULL);
        m->reboot = virConnectDomainEventRegisterAny(daemon->libvirt, NULL, VIR_DOMAIN_EVENT_ID_REBOOT,
                                                     VIR_DOMAIN_EVENT_CALLBACK(on_reboot), m, NULL);
        if (m->lifecycle < 0 || m->reboot < 0) {
                error_set(err, ERR_FAILED, "cannot listen to libvirt's events: %s", virt_error());
                manager_free(m);
                return NULL;
        }
        manager_recover(m);
        return m;
}

void manager_free(struct manager *m)
{
        if (!m)
                return;
        if (m->lifecycle >= 0)
                virConnectDomainEventDeregisterAny(m->daemon->libvirt, m->lifecycle);
        if (m->reboot >= 0)
                virConnectDomainEventDeregisterAny(m->daemon->libvirt, m->reboot);
        for (size_t i = 0; i < m->n_vms; i++)
                vm_free(m->vms[i]);
        free(m->vms);
        virConnectClose(m->daemon->libvirt);
        m->daemon->libvirt = NULL;
        free(m);
}

static void creation_end(struct creation *c)
{
        for (struct creation **p = &c->manager->creations; *p; p = &(*p)->next)
                if (*p == c) {
                        *p = c->next;
                        break;
                }
        free(c->name);
        free(c);
}

static void on_create_progress(void *userdata, struct json_object *owned_progress)
{
        struct creation *c = userdata;

        c->progress(c->userdata, owned_progress);
}

static void on_create_done(void *userdata, const char *folder, const struct error *err)
{
        struct creation *c = userdata;
        manager_created_fn done = c->done;
        void *done_userdata = c->userdata;
        struct manager *m = c->manager;
        struct error load_err = ERROR_INIT;
        struct vm *vm = NULL;

        if (folder) {
                vm = vm_load(m->daemon, folder, &load_err);
                if (vm)
                        manager_add(m, vm);
                else
                        err = &load_err;
        }
        creation_end(c);
        done(done_userdata, vm, err);
}

static struct creation *creation_begin(struct manager *m, const char *name, create_progress_fn progress, manager_created_fn done,
                                       void *userdata, struct error *err)
{
        struct creation *c;

        if (manager_creating(m, name)) {
                error_set(err, ERR_STATE, "VM '%s' is being created already", name);
                return NULL;
        }
        c = xcalloc(1, sizeof(*c));
        c->manager = m;
        c->name = xstrdup(name);
        c->progress = progress;
        c->done = done;
        c->userdata = userdata;
        c->next = m->creations;
        m->creations = c;
        return c;
}

struct creation *manager_create(struct manager *m, const struct create_options *options, create_progress_fn progress,
                                manager_created_fn done, void *userdata, struct error *err)
{
        struct creation *c = creation_begin(m, options->name, progress, done, userdata, err);

        if (!c)
                return NULL;
        c->create = create_start(m->daemon, options, on_create_progress, on_create_done, c, err);
        if (!c->create) {
                creation_end(c);
                return NULL;
        }
        return c;
}

struct creation *manager_clone(struct manager *m, const char *source, const char *name, create_progress_fn progress,
                               manager_created_fn done, void *userdata, struct error *err)
{
        struct vm *vm = manager_find(m, source, err);
        struct creation *c;

        if (!vm)
                return NULL;
        if (!vm_name_valid(name) || manager_find(m, name, NULL)) {
                if (vm_name_valid(name))
                        error_set(err, ERR_EXISTS,
                                  "VM '%s' is already there; remove it with 'initvm -n %s destroy', or choose another name", name,
                                  name);
                else
                        error_set(err, ERR_INVALID,
                                  "'%s' is not a name for a VM: 1 to %d letters, digits, '.', '_' or '-', beginning with "
                                  "a letter or digit",
                                  name, VM_NAME_MAX);
                return NULL;
        }
        c = creation_begin(m, name, progress, done, userdata, err);
        if (!c)
                return NULL;
        c->clone = clone_start(m->daemon, vm, name, on_create_progress, on_create_done, c, err);
        if (!c->clone) {
                creation_end(c);
                return NULL;
        }
        return c;
}

void manager_creation_cancel(struct creation *c)
{
        if (c->create)
                create_cancel(c->create);
        else if (c->clone)
                clone_cancel(c->clone);
}

/* Destroying: stop by force, remove the folder in a worker. */
struct destruction {
        struct manager *manager;
        struct vm *vm;
        char *folder;
        manager_destroyed_fn done;
        void *userdata;
        struct error err;
        bool failed;
};

static void remove_folder(void *userdata)
{
        struct destruction *d = userdata;

        d->failed = tree_remove(d->folder, &d->err) < 0;
}

static void on_folder_removed(void *userdata)
{
        struct destruction *d = userdata;

        d->done(d->userdata, true, d->failed ? &d->err : NULL);
        free(d->folder);
        free(d);
}

/* vm.json goes first: a destroy that is interrupted here leaves a folder that recovery knows for what it is. */
static void on_stopped(void *userdata, const struct error *err)
{
        struct destruction *d = userdata;
        autofree char *record = xasprintf("%s/vm.json", d->folder);

        if (err) {
                d->done(d->userdata, false, err);
                free(d->folder);
                free(d);
                return;
        }
        unlink(record);
        manager_remove(d->manager, d->vm);
        worker_run(d->manager->daemon->worker, remove_folder, on_folder_removed, d);
}

void manager_destroy(struct manager *m, const char *name, manager_destroyed_fn done, void *userdata)
{
        static const struct vm_stop_options kill_it = {.force = true};
        struct error err = ERROR_INIT;
        struct vm *vm = manager_find(m, name, NULL);
        struct destruction *d;

        if (manager_creating(m, name)) {
                error_set(&err, ERR_STATE, "VM '%s' is being created; end that with Ctrl-C where it runs", name);
                done(userdata, false, &err);
                return;
        }
        if (!vm) {
                done(userdata, false, NULL);
                return;
        }
        if (vm_busy(vm, &err) && !vm_active(vm)) {
                done(userdata, false, &err);
                return;
        }
        d = xcalloc(1, sizeof(*d));
        d->manager = m;
        d->vm = vm;
        d->folder = xstrdup(vm_folder(vm));
        d->done = done;
        d->userdata = userdata;
        vm_stop(vm, &kill_it, NULL, on_stopped, d);
}
