/* SPDX-License-Identifier: MIT */
/* One command in a mounted chroot from start to end, by systemd-nspawn(1): with the VM's network and kernel, and nothing else of
 * it. */
#pragma once

#include "chroot/overlay.h"

struct enter {
        const struct overlay *overlay;
        const char *name;         /* of the chroot: its host name */
        char *const *argv;        /* empty: the login shell */
        const char *user;         /* of the chroot; NULL: root */
        const char *cwd;          /* NULL: the user's home */
        char *const *environment; /* "K=V"; NULL: none */
        char *const *binds;       /* "/SOURCE[:/PLACE]" of the VM; NULL: none */
        bool no_network;          /* it sees a loopback of its own, and no other */
        bool no_native;           /* nothing of the VM stands in for programs of a foreign chroot (native.h) */
        bool terminal;            /* our standard input is one, and becomes the command's */
};

/* How long a command has when we are hung up on, before it is killed: less than the agent gives us. */
#define ENTER_HANGUP_S 2

/* *ret_wait_status: how it ended, as of waitpid(2); where it had not begun when a signal came to us, as if that had ended it.
 * Signals that we get are passed on to it. When this returns, nothing of it runs any more. ERR_NO_COMMAND, ERR_NOT_EXECUTABLE,
 * ERR_INVALID (user, cwd) when it could not be executed. */
int enter_run(const struct enter *e, int *ret_wait_status, struct error *err);
