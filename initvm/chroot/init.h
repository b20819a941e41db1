/* SPDX-License-Identifier: MIT */
/*
 * The first process in a chroot that was entered: starts the command as a user of the chroot, passes signals on to it, reaps
 * orphans, and tells how it ended.  It is the agent's own program, which systemd-nspawn executes from a descriptor that we pass
 * to it: nothing of it is in the chroot.
 */
#pragma once

#include "base/error.h"

/* The descriptors that it is passed: our program, and a pipe for one struct init_report. */
#define INIT_PROGRAM_FD 3
#define INIT_REPORT_FD  4

/* As its program is named inside. */
#define INIT_PROGRAM "/proc/self/fd/3"

/* How long a sentence may be that comes back. */
#define INIT_MESSAGE_MAX 1024

struct init_report {
        enum error_code code;           /* ERR_NONE: the command ran */
        int wait_status;                /* how it ended, as of waitpid(2) */
        char message[INIT_MESSAGE_MAX]; /* of an error */
};

/* argv: "--chroot-init" [--user U] [--cwd FOLDER] [--terminal] [--native] [--env K=V]... -- [COMMAND...]; no command: the login
 * shell. Returns the exit status. */
int init_main(int argc, char **argv);
