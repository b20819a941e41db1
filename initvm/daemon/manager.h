/* SPDX-License-Identifier: MIT */
/* All VMs of this daemon: loaded from <state>/vms, matched with libvirt's domains at the start, kept in step by its events. */
#pragma once

#include "daemon/create.h"
#include "daemon/daemon.h"
#include "daemon/vm.h"

struct manager;
struct creation;

/*
 * Connects to libvirt (embedded driver below <state>/libvirt), adopts running domains, removes what interrupted creates left, and
 * fills daemon->libvirt and daemon->recovered. Blocks (a first connection takes some seconds): before the loop runs.
 */
struct manager *manager_new(struct daemon *daemon, struct error *err);
void manager_free(struct manager *m); /* running VMs live on; creates are cancelled and cleaned by the next daemon */

/* NULL with ERR_NOT_FOUND, or with ERR_STATE while it is being created. */
struct vm *manager_find(struct manager *m, const char *name, struct error *err);

/* A VM of that name is being created or cloned. */
bool manager_creating(struct manager *m, const char *name);
/* The VM of a create's first boot, NULL when there is none. */
struct vm *manager_creating_vm(struct manager *m, const char *name);

/* create_start() with the VM taken in at the end; done gets it, or NULL with err. */
typedef void (*manager_created_fn)(void *userdata, struct vm *vm, const struct error *err);
struct creation *manager_create(struct manager *m, const struct create_options *options, create_progress_fn progress,
                                manager_created_fn done, void *userdata, struct error *err);

/* The same for a copy of a VM that does not run, with an identity of its own. */
struct creation *manager_clone(struct manager *m, const char *source, const char *name, create_progress_fn progress,
                               manager_created_fn done, void *userdata, struct error *err);

/* Ends either; done comes with ERR_CANCELLED when everything has been removed. */
void manager_creation_cancel(struct creation *c);

/* Stops and removes; removed tells whether there was anything. */
typedef void (*manager_destroyed_fn)(void *userdata, bool removed, const struct error *err);
void manager_destroy(struct manager *m, const char *name, manager_destroyed_fn done, void *userdata);

/* Describes one VM (name) or all (NULL), those that are being created as well, with libvirt's state of this moment; fn gets an
 * owned JSON array. */
typedef void (*manager_described_fn)(void *userdata, struct json_object *owned_array);
void manager_describe(struct manager *m, const char *name, manager_described_fn fn, void *userdata);
