/* SPDX-License-Identifier: MIT */
/* The subcommands of `initvm chroot`, one or two to a file; cmd_chroot.c has their table. */
#pragma once

#include "cli/commands.h"

extern const struct command command_chroot_build, command_chroot_clone, command_chroot_create, command_chroot_export,
        command_chroot_import, command_chroot_list, command_chroot_remove, command_chroot_rename, command_chroot_run,
        command_chroot_shell, command_chroot_show;

/* Native helpers in a chroot of another architecture; look it up as a switch that is on when it is not given. */
#define ACCELERATE_OPTION                                                                                                        \
        {                                                                                                                        \
                .name = "accelerate", .type = OPTION_SWITCH,                                                                     \
                .help = "let programs of the VM unpack packages for one of another architecture (default: yes)"                  \
        }

/* After what makes a chroot: for machines the last line is {"chroot": RECORD}, for people one sentence. */
int chroot_tell_made(const struct invocation *inv, char **lines, const char *verb, struct error *err);
