/* SPDX-License-Identifier: MIT */
/*
 * One command of the agent's keeper of chroots (initvm-agent(8), `--chroot`), run in the VM by org.initvm.Exec as root: its
 * stages are shown, its result collected, Ctrl-C cancels it and waits until it has cleaned up.
 */
#pragma once

#include "cli/command.h"

struct chroot_call {
        char **words;          /* behind "--chroot"; borrowed */
        int input;             /* what it reads; -1: nothing */
        int output;            /* where its standard output goes; -1: it is the result */
        bool quiet;            /* its stages are not shown */
        const char *cancelled; /* what the user is told when a signal has ended it */
};

/* 0 with *ret, the lines of the result (owned; may be NULL), -1 with *err, or 128+N after signal N, which the user has been told
 * of. */
int chroot_call(const struct invocation *inv, const struct chroot_call *call, char ***ret, struct error *err);

/* How the argv of a command begins: the agent's own program, as its keeper of chroots. Owned. */
char **chroot_argv(const char *command);

/* A result that is one record: shown as JSON, or to be told about. Owned; NULL on failure. */
struct json_object *chroot_record(char **lines, struct error *err);
