/* SPDX-License-Identifier: MIT */
/* What the daemon asks of initvm-image: the parameters of wire/org.initvm.image.varlink, and of the second process (appliance.h).
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>

struct image_request {
        const char *image; /* the path of the image that is worked on */
        bool kvm;          /* whether the appliance may use KVM: the daemon has proven it */
        const char *root;  /* UUID of the root file system, as the daemon knows it; NULL: it is looked for, which takes longer */
        uint64_t size;     /* Resize, Adopt: bytes */
        bool repair;       /* Check */
        struct json_object *paths; /* List, Read, Write: in the image */
        const char *stream;        /* Read, Write: the file (a pipe) that the archive goes to or comes from */
        const char *file;          /* Export, Clone, Adopt: where to; Import: where from */
        const char *hostname;      /* Clone, Adopt */
        const char *agent;         /* Adopt: its program */
        const char *architecture;  /* Adopt: the VM's, as dpkg(1) names it */
        const char *snapshot;      /* *Snapshot: its name */
};

/* Reads and checks; borrows from the object. */
int image_request_read(struct image_request *r, struct json_object *parameters, struct error *err);
