/* SPDX-License-Identifier: MIT */
/* Starting a command as a user of the guest, without waiting for its execve(2): how that went is told by a close-on-exec pipe. */
#pragma once

#include "base/account.h"
#include "base/error.h"

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

struct spawn_plan {
        char *const *argv;
        const char *program; /* NULL: argv[0]. Without a slash it is searched in the environment's PATH, as this user */
        char *const *environment;
        const struct account *account;
        const char *cwd;      /* NULL: the user's home, and / where that cannot be entered */
        struct rlimit nofile; /* RLIMIT_NOFILE of the command */
        int fds[3];           /* its stdin, stdout, stderr; close-on-exec, and none of them below 3 */
        const char *where;    /* for messages: "the VM" */
        bool terminal; /* its stdin is one, and becomes the controlling terminal of its session, also when it is that of ours */
};

enum spawn_stage { SPAWN_SETUP, SPAWN_USER, SPAWN_CWD, SPAWN_EXEC, SPAWN_DIRECTORY, SPAWN_INTERPRETER };

/* What the pipe carries when the command could not be executed. */
struct spawn_failure {
        enum spawn_stage stage;
        int errnum;
};

/* The command leads a new session and process group; signals are at their defaults. *ret_status is to be read: end of file when
 * the command runs, a struct spawn_failure when it does not (and the child exits by itself). The child is to be reaped in any
 * case. */
int spawn(const struct spawn_plan *plan, pid_t *ret_pid, int *ret_status, struct error *err);

/* The error of a failure: ERR_NO_COMMAND, ERR_NOT_EXECUTABLE, ERR_INVALID (cwd), ERR_DENIED (user) ... Returns -1. */
int spawn_failure_error(const struct spawn_failure *failure, const struct spawn_plan *plan, struct error *err);
