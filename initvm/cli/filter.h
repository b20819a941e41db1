/* SPDX-License-Identifier: MIT */
/* A child process of ours at the other end of a pipe, which reads or writes a stream as blockingly as it likes. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* What it does with its end; returns 0, or -1 with *err, which filter_end() has then. */
typedef int (*filter_fn)(const void *userdata, int fd, struct error *err);

struct filter {
        pid_t pid;
        int fd;     /* our end */
        int errors; /* archive/report.h */
};
#define FILTER_INIT                                                                                                              \
        {                                                                                                                        \
                .pid = -1, .fd = -1, .errors = -1                                                                                \
        }

/* `reads`: it reads what we write. It ends with us. */
int filter_start(struct filter *f, filter_fn fn, const void *userdata, bool reads, struct error *err);

/* Closes our end and waits for its end; `abandon` kills it first. -1 with its error. Nothing to do when it was never started. */
int filter_end(struct filter *f, bool abandon, struct error *err);

/* filter_end() after a call that used it and ended with `r`: 0, -1 with *err, or more. Of two errors that of the side which did
 * not just see the other one go is the reason. Returns r or -1. */
int filter_join(struct filter *f, int r, struct error *err);
