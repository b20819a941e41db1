/* SPDX-License-Identifier: MIT */
/* What manager.c, describe.c and recover.c share. */
#pragma once

#include "daemon/manager.h"

/* A create or a clone under way. */
struct creation {
        struct manager *manager;
        char *name;
        struct create *create; /* NULL: it is a clone */
        struct clone *clone;
        create_progress_fn progress;
        manager_created_fn done;
        void *userdata;
        struct creation *next;
};

struct manager {
        struct daemon *daemon;
        int lifecycle, reboot; /* libvirt's ids of our event callbacks; -1: none */
        struct vm **vms;
        size_t n_vms;
        struct creation *creations;
};

struct creation *creation_find(struct manager *m, const char *name); /* NULL: there is none */
void manager_add(struct manager *m, struct vm *owned);
void manager_remove(struct manager *m, struct vm *vm); /* frees it */
void manager_recover(struct manager *m);
