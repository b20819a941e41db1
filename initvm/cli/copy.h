/* SPDX-License-Identifier: MIT */
/*
 * One copy between two places, of which at least one is in a VM, as a tar stream.
 *
 *   agent's program in the VM  <-- frames -->  session (this process)  <-- pipe -->  helper (a child of ours)
 *   packs or unpacks                           and the meter                         unpacks or packs
 *
 * The helper packs or unpacks files of the host; for a copy between two VMs it is the session with the first one.  A helper
 * that unpacks outlives us if need be: it notices the end of the pipe, and removes what is half written.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct copy_place {
        const char *vm;     /* NULL: on the host */
        bool stream;        /* standard input or output of the host; no paths then */
        char *const *paths; /* a destination has one */
};

struct copy {
        struct copy_place from, to;
        const char *user; /* in the VM; NULL: root */
        bool quiet;       /* no meter; nor is there one when standard error is no terminal */
};

/* Returns the exit status: 0, 1 when something was left out (which was told), 128+N after signal N; or -1. */
int copy_run(const struct copy *copy, struct error *err);
