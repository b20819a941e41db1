/* SPDX-License-Identifier: MIT */
/*
 * A child of the daemon that makes a chroot in a running VM: `initvm chroot create`, which knows the host's cache of chroots,
 * takes from it and adds to it.  It is a client of this daemon like any other; when the daemon dies, it is asked to end.
 */
#pragma once

#include "base/json.h"
#include "io/loop.h"

struct chroot_child;

struct chroot_child_options {
        const char *program; /* the command line's; NULL: ours, as installed */
        const char *vm, *name, *architecture, *suite;
};

struct chroot_child_events {
        void (*progress)(void *userdata, struct json_object *event); /* type Progress of org.initvm; borrowed */
        /* Once, when it has ended: NULL when the chroot is there, else what it said, with
         * ERR_DISCONNECTED when the VM was lost, or ERR_FAILED. Frees it. */
        void (*done)(void *userdata, const struct error *err);
};

/* NULL with *err when it could not be started. */
struct chroot_child *chroot_child_start(struct loop *loop, const struct chroot_child_options *options,
                                        const struct chroot_child_events *events, void *userdata, struct error *err);

/* Asks it to end, and nobody is called any more; NULL is fine. What is half made in the VM goes with the connection. */
void chroot_child_cancel(struct chroot_child *child);
