/* SPDX-License-Identifier: MIT */
/*
 * A program in process and mount namespaces of its own (pid_namespaces(7)), which ends with everything that it started as soon as
 * its first process or we end, however that comes: the kernel sees to it.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct confined {
        char *const *argv; /* argv[0] is searched in PATH */
        int fds[3];        /* its stdin, stdout, stderr */
        const int *passed; /* more fds, which it gets from 3 on, as of sd_listen_fds(3) */
        unsigned n_passed;
        bool own_group; /* a process group of its own: what is sent to ours does not reach it */
};

#define CONFINED_NOT_EXECUTED 127

/* Returns its pid in *ret_pid, to be waited for with waitpid(2): the exit status of the program, 128+N when signal N ended it,
 * 127 when it could not be executed, which then was told on its stderr. SIGKILL to that pid ends all of it. */
int confined_start(const struct confined *c, pid_t *ret_pid, struct error *err);
