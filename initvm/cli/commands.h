/* SPDX-License-Identifier: MIT */
/* All commands. */
#pragma once

#include "cli/command.h"

/* In the order of the overview, NULL-terminated. */
extern const struct command *const commands[];

extern const struct command command_binfmt, command_run, command_disk, command_snapshot, command_reset, command_clone;
extern const struct command command_attach, command_chroot, command_cache, command_completion, command_cp, command_create,
        command_daemon, command_destroy, command_ensure, command_exec, command_forward, command_help, command_images, command_job,
        command_list, command_proxy, command_ps, command_restart, command_shell, command_ssh, command_ssh_config, command_start,
        command_status, command_stop, command_submit, command_version;

/* By name or alias. NULL with ERR_INVALID, which suggests the nearest. */
const struct command *command_find(const char *name, struct error *err);

/* The same among the subcommands of a family; NULL for `name` is one that is missing. */
const struct command *command_find_sub(const struct command *family, const char *name, struct error *err);
