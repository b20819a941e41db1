/* SPDX-License-Identifier: MIT */
/* A confined program (confine.h) from start to end, with what it writes taken line by line. */
#pragma once

#include "base/error.h"

#include <stdint.h>

/* A line that is longer is cut. */
#define CONFINED_LINE_MAX 1024

struct confined_lines {
        char *const *argv;
        uint64_t timeout_ms;
        void (*line)(void *userdata, const char *line); /* of stdout or stderr, without its newline */
        void *userdata;
};

/* Its exit status in *ret_status, as of confined_start(). SIGTERM, SIGINT, SIGHUP and SIGQUIT to us end it: ERR_CANCELLED; they
 * stay blocked afterwards. ERR_TIMEOUT. When it returns, nothing of it runs any more. */
int confined_lines_run(const struct confined_lines *c, int *ret_status, struct error *err);
