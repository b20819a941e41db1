/* SPDX-License-Identifier: MIT */
/* The subcommands of `initvm chroot`, one or two to a file; cmd_chroot.c has their table. */
#pragma once

#include "cli/commands.h"

extern const struct command command_chroot_clone, command_chroot_create, command_chroot_export, command_chroot_import,
        command_chroot_list, command_chroot_remove, command_chroot_rename, command_chroot_run, command_chroot_shell,
        command_chroot_show;

/* After what makes a chroot: for machines the last line is {"chroot": RECORD}, for people one sentence. */
int chroot_tell_made(const struct invocation *inv, char **lines, const char *verb, struct error *err);
