/* SPDX-License-Identifier: MIT */
/*
 * One command in the VM from start to end, as exec and shell have it: its input, output, signals and exit status.
 *
 * With a terminal in the VM and one here, ours is raw: every key goes through, the size follows, and the command's own terminal
 * makes signals of Ctrl-C and the like.  A signal that would end us ends the session then, as closing a terminal does, so that a
 * VM that hangs keeps nobody.
 */
#pragma once

#include "cli/command.h"

/* What exec and shell have in common. */
#define REMOTE_COMMAND_OPTIONS                                                                                                   \
        {.name = "cwd", .letter = 'C', .type = OPTION_STRING, .argument = "FOLDER", .help = "run it in this folder of the VM"},  \
                {.name = "env",                                                                                                  \
                 .letter = 'e',                                                                                                  \
                 .type = OPTION_LIST,                                                                                            \
                 .argument = "NAME=VALUE",                                                                                       \
                 .help = "set a variable; NAME alone passes on yours; may be repeated"},                                         \
        {                                                                                                                        \
                .name = "user", .letter = 'u', .type = OPTION_STRING, .argument = "USER",                                        \
                .help = "run it as this user (default: root)"                                                                    \
        }

struct remote_command {
        char *const *argv; /* empty: the user's login shell */
        bool terminal;     /* in the VM */
        bool wrapped;      /* what --cwd, --env and --user say is among its arguments already: it runs as root */
};

/* What --env says: "K=V" as it is; "K" alone takes our value, and is left out when we have none. Adds to *ret. */
int remote_command_environment(const struct arguments *a, char ***ret, struct error *err);

/* With the options of the invocation. Returns the exit status of the command, or 128+N after a signal, or -1 with *err. */
int remote_command_run(const struct invocation *inv, const struct remote_command *command, struct error *err);
