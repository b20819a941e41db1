/* SPDX-License-Identifier: MIT */
/*
 * One create: provisioning by the child program into <state>/creating/NAME (or an image's adoption, adopt.h), with the method
 * "installer" the installation (installation.h), the first boot with the finish steps that the child asked for, the shutdown, and
 * the rename into <state>/vms/NAME, which alone makes it a VM.  Whatever ends it earlier, everything is removed; but of an
 * installation that failed the logs stay, in <state>/failed/NAME, until the next one of that name.
 */
#pragma once

#include "base/json.h"
#include "daemon/daemon.h"

struct create;

struct create_options {
        const char *name;
        const char *from;            /* absolute path of an image whose system is adopted; NULL: one is made */
        const char *image;           /* name of an image description; NULL: the default */
        const char *preseed;         /* absolute path; NULL: the default one */
        const char *method;          /* bootstrap or installer; NULL: bootstrap */
        const char *proxy;           /* for the making only; NULL: the preseed's, or http_proxy of the environment */
        bool keep;                   /* a failure leaves what was made so far in <state>/failed/NAME */
        bool show;                   /* what the installer shows is progress, too */
        const char *mirror;          /* NULL: the preseed's or the image's */
        const char *channel;         /* auto, virtio or ssh; NULL: auto */
        bool ssh_forward;            /* a port of 127.0.0.1 leads to the guest's SSH server; always with ssh */
        uint64_t ssh_port;           /* ... this one; 0: a free one at each start */
        const char *acceleration;    /* auto, kvm, tcg */
        uint64_t size, memory, cpus; /* 0: defaults */
};

typedef void (*create_progress_fn)(void *userdata, struct json_object *owned_progress);
/* folder is the finished VM's, NULL on failure. */
typedef void (*create_done_fn)(void *userdata, const char *folder, const struct error *err);

/* NULL with err when the input is not acceptable; nothing has happened then. */
struct create *create_start(struct daemon *daemon, const struct create_options *options, create_progress_fn progress,
                            create_done_fn done, void *userdata, struct error *err);

/* The VM of the first boot, NULL before; for libvirt's events. */
struct vm *create_vm(struct create *c);

/* As vm_describe(), with the state "creating". */
struct json_object *create_describe(const struct create *c);

/* Ends it; done comes (ERR_CANCELLED) when everything has been removed. */
void create_cancel(struct create *c);

/* Blocking: what a failure leaves on purpose goes to the folder `to`, in the place of what is there: the logs, or everything. */
int create_keep_remains(const char *folder, const char *to, bool everything, struct error *err);

/* Blocking, for a worker or the start of the daemon: removes what an interrupted create left in this folder. */
int create_remove_remains(const char *folder, struct error *err);
