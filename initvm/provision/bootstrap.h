/* SPDX-License-Identifier: MIT */
/*
 * The way "bootstrap": the root is built natively by mmdebstrap, as root or in a user namespace, with our hooks in it, and
 * becomes a disk image.  Whatever happens, nothing is left but the results in the request's folder, or nothing at all.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "io/run.h"
#include "provision/disk.h"
#include "provision/image.h"
#include "provision/plan.h"
#include "provision/preseed.h"

struct bootstrap_request {
        const char *folder;  /* where buildenv.img, kernel and initrd go */
        const char *name;    /* of the VM */
        const char *image;   /* path */
        const char *preseed; /* path */
        const char *mirror;  /* NULL: as the preseed or the image says */
        const char *proxy;   /* for the making only; NULL: as the preseed or the environment says */
        const char *agent;   /* path of the agent's program */
        uint64_t size;       /* of the disk; 0: the image's */
};

struct bootstrap {
        struct run *run;
        const struct bootstrap_request *request;
        struct plan_overrides overrides;
        struct image *image;
        char *preseed_text;
        struct preseed *preseed;
        struct plan *plan;
        struct disk_layout layout;
        bool privileged;                   /* mmdebstrap's mode: root or unshare */
        char *work;                        /* <folder>/work */
        char *temporary;                   /* TMPDIR of mmdebstrap: in work, or where our subordinate users can reach it */
        char *keys;                        /* <temporary>/keys */
        char *raw;                         /* <work>/disk.raw */
        char **environment;                /* of the tools */
        unsigned installing, round, steps; /* of mmdebstrap, counted from its output */
};

/* Runs it to its end. *ret: the parameters of the final reply, owned. */
int bootstrap_run(struct run *run, const struct bootstrap_request *request, struct json_object **ret, struct error *err);

/* The proxy of the making: the caller's, else the preseed's; NULL: none, or the environment's. */
static inline const char *bootstrap_proxy(const struct bootstrap *b)
{
        return b->request->proxy ? b->request->proxy : b->plan->proxy;
}

/* The parts of it. check: what can be known before work begins. */
int bootstrap_check(struct bootstrap *b, struct error *err);
int bootstrap_check_mirrors(struct bootstrap *b, struct error *err);
int bootstrap_keys(struct bootstrap *b, struct error *err);
int bootstrap_install(struct bootstrap *b, struct error *err);
