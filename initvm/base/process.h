/* SPDX-License-Identifier: MIT */
/* Starting programs: argv vectors only, never a shell string; signals reset; only the fds that were named are passed. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process_fd {
        int from; /* our fd */
        int to;   /* its number in the child */
};

struct process_options {
        const struct process_fd *fds; /* 0, 1, 2 not named here become /dev/null */
        size_t n_fds;
        char *const *environment; /* NULL: ours */
        const char *cwd;          /* NULL: ours */
        bool new_group;           /* its own process group, led by it */
        bool new_session;         /* its own session (and group) */
        int death_signal;         /* PR_SET_PDEATHSIG: sent when the starting thread dies; 0 for none */
};

/* Forks and execs argv[0] (searched in PATH when it has no slash). Fails when the exec itself fails (told by a close-on-exec
 * pipe), with the reason. The child has all signals unblocked and at their defaults. */
int process_spawn(char *const *argv, const struct process_options *options, pid_t *ret_pid, struct error *err);

/* The exit status as a shell has it: 128+N for what signal N ended. */
#define STATUS_SIGNAL 128
int process_exit_status(int wait_status);

/* "exit status 3", "killed by signal 9 (Killed)": for messages. Static per thread. */
const char *process_status_text(int wait_status);
