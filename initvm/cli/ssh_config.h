/* SPDX-License-Identifier: MIT */
/* How ssh(1) and its like get into a VM: the configuration, and the call that makes what it names. */
#pragma once

#include "base/json.h"
#include "cli/command.h"

/* What a block is made of. */
struct ssh_config {
        const char *alias; /* the host's name for ssh, "initvm-NAME" */
        const char *user;
        const char *identity_file;
        const char *known_hosts_file;
        const char *program; /* the path of initvm */
        const char *home;    /* INITVM_HOME; NULL: not set */
        const char *vm;
};

/* The block "Host initvm-NAME" as ssh_config(5) has it, owned: every path is quoted as its place needs it. NULL with ERR_INVALID
 * when a path has characters that ssh cannot be given. */
char *ssh_config_text(const struct ssh_config *config, struct error *err);

/* Has the daemon prepare the VM, and makes the text. Warns when the pinned host key is not the VM's any more. *ret_reply (owned)
 * is PrepareSsh's, *ret_text owned. */
int ssh_config_prepare(const struct invocation *inv, bool renew_host_key, struct json_object **ret_reply, char **ret_text,
                       struct error *err);
