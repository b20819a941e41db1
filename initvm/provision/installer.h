/* SPDX-License-Identifier: MIT */
/*
 * The way "installer": debian-installer's own kernel and initrd, with the preseed and what completes the new system appended, and
 * an empty disk.  This program makes the files; the daemon boots them (daemon/installation.h).
 *
 *   FOLDER/installer/kernel, initrd    what is booted
 *   FOLDER/buildenv.img                empty
 *
 * Before that everything is looked at that would end an installation minutes after its start: the mirror, its signature and its
 * age, the proxy, the components for exactly this installer's kernel, the packages that the preseed names.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "io/run.h"
#include "provision/image.h"
#include "provision/plan.h"
#include "provision/preseed.h"

/* Where QEMU's user network has the host (QEMU's documentation, "Using the user mode network stack"). */
#define INSTALLER_GATEWAY "10.0.2.2"

/* The second serial port, where the installer's log goes to. */
#define INSTALLER_LOG_DEVICE "/dev/ttyS1"

struct installer_request {
        const char *folder;  /* where the files go */
        const char *name;    /* of the VM */
        const char *image;   /* path */
        const char *preseed; /* path */
        const char *mirror;  /* NULL: as the preseed or the image says */
        const char *proxy;   /* for the installation only; NULL: as the preseed or http_proxy in the environment says */
        const char *agent;   /* path of the agent's program */
        const char *target;  /* path of initvm-target */
        uint64_t size;       /* of the disk; 0: the image's */
};

struct installer {
        struct run *run;
        const struct installer_request *request;
        struct image *image;
        char *preseed_text;
        struct preseed *preseed;
        struct plan *plan;
        const char *proxy;  /* as seen from here; NULL: none */
        char *work;         /* FOLDER/work */
        char *apt;          /* <work>/apt: apt's settings and state for this run */
        char *target;       /* FOLDER/installer */
        char **environment; /* of the tools */
        char **missing;     /* components that apt could not download */
        char *locales;      /* that the installer knows: its /etc/SUPPORTED-short */
};

/* Runs it to its end. *ret: the parameters of the final reply, owned. */
int installer_run(struct run *run, const struct installer_request *request, struct json_object **ret, struct error *err);

/* The parts of it, in their order. What apt reads of the mirrors, verified by the image's keyring: installer_archive.c. */
int installer_update(struct installer *in, struct error *err);
/* The installer's kernel and initrd into the folder. */
int installer_fetch(struct installer *in, struct error *err);
/* The components, from what the initrd says of itself; and the packages. */
int installer_check_components(struct installer *in, struct error *err);
int installer_check_packages(struct installer *in, struct error *err);

/* Appends our archive to the initrd: installer_initrd.c. */
int installer_append(struct installer *in, struct error *err);

/* The preseed as the installer gets it: the user's file as it stands, then the answers that the image and the caller give, and
 * that the watching depends on. `locales`: those that the installer knows, one a line. Owned. */
char *installer_preseed(const struct image *image, struct preseed *preseed, const char *text, const struct plan *plan,
                        const char *mirror, const char *proxy, const char *locales);

/* A URL whose host is this host itself, as the guest reaches it. NULL when it is another host. Owned. */
char *installer_guest_url(const char *url);
