/* SPDX-License-Identifier: MIT */
/* The child process at the other end of a copy's pipe. */
#pragma once

#include "cli/copy.h"

#include <sys/types.h>

struct copy_helper {
        pid_t pid;
        int data;    /* the archive: to be read when the helper packs, else to be written */
        int reports; /* archive/report.h; its end is the helper's */
};

/* What the child does: returns 0, or -1 with *err, which it then reports. Told at its birth how it may end. */
typedef int (*copy_helper_fn)(const struct copy *copy, int data, int reports, struct error *err);

/* `packs`: it writes the archive, and nothing is lost when it is killed. The fds of *ret are owned by the caller. */
int copy_helper_start(const struct copy *copy, copy_helper_fn fn, bool packs, struct copy_helper *ret, struct error *err);

/* Packs or unpacks on the host, or copies standard input or output: what `copy` says of the host's side. */
int copy_host_side(const struct copy *copy, int data, int reports, struct error *err);
