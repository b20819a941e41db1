/* SPDX-License-Identifier: MIT */
/* An image that comes from outside: whether it is one that can be read, before anything looks into it. */
#pragma once

#include "base/error.h"
#include "io/run.h"

#include <stdint.h>
#include <time.h>

struct source {
        const char *format; /* "qcow2" or "raw"; static */
        uint64_t size;      /* what a machine sees of it */
        uint64_t content;   /* what a copy takes */
        struct timespec modified;
};

/*
 * ERR_NOT_FOUND: it or a backing file is missing; ERR_DENIED; ERR_INVALID: it is no image; ERR_UNSUPPORTED: one of another
 * format, or encrypted; ERR_STATE: somebody else has it open for writing.
 */
int source_check(struct run *run, const char *path, struct source *ret, struct error *err);

/* ERR_STATE when somebody has written to it since. */
int source_check_unchanged(const char *path, const struct source *source, struct error *err);
