/* SPDX-License-Identifier: MIT */
/* What the parts of the daemon share. Made once in main.c, borrowed by everything else. */
#pragma once

#include "base/paths.h"
#include "daemon/accel.h"
#include "daemon/machine.h"
#include "daemon/worker.h"
#include "io/loop.h"

#include <libvirt/libvirt.h>

struct daemon {
        struct loop *loop;
        struct worker *worker;
        struct accel *accel;
        const struct machine *machine;
        struct paths paths;
        virConnectPtr libvirt;
        uint64_t started; /* now_ms() */
        char **recovered; /* sentences on what was found and cleaned at the start, for the next create */
        struct manager *manager;
        struct jobs *jobs;
        struct daemon_machines *machines; /* of the jobs */
        struct server *server;
        bool quit; /* the process is to end */

        /* A VM has come or gone, or what it was doing has ended: soon who waits for that looks again. NULL: nobody does. */
        void (*changed)(struct daemon *d);
};

static inline void daemon_changed(struct daemon *d)
{
        if (d->changed)
                d->changed(d);
}
