/* SPDX-License-Identifier: MIT */
/* What the commands on the disk of a VM that does not run share. */
#pragma once

#include "base/json.h"
#include "cli/command.h"

extern const struct command command_disk_info, command_disk_check, command_disk_resize, command_disk_compact, command_disk_ls,
        command_disk_cat, command_disk_cp, command_disk_export, command_disk_import;

#define DISK_UNCHANGED "the disk is as it was"

/* Calls the method with the VM's name and `owned_parameters` (or NULL), and shows the progress. Returns 0 with *ret (owned), -1,
 * or the exit status after a signal; then the user was told `cancelled`. */
int disk_call(const struct invocation *inv, const char *method, struct json_object *owned_parameters, const char *cancelled,
              struct json_object **ret, struct error *err);

/* For machines: {"disk": {...}} as the last line. */
void disk_print_json(struct json_object *disk);
