/* SPDX-License-Identifier: MIT */
/* initvm ssh: becomes ssh(1), with the VM's own configuration and no other. */
#include "cli/commands.h"

#include "base/file.h"
#include "cli/ssh_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *reply = NULL;
        autofree char *text = NULL;
        autostrv char **argv = NULL;
        const char *file;

        if (ssh_config_prepare(inv, false, &reply, &text, err) < 0)
                return -1;
        file = json_get_string(reply, "configFile", "");
        if (file_write_atomic(file, 0600, text, strlen(text), err) < 0)
                return -1;
        strv_add(&argv, "ssh");
        strv_add(&argv, "-F");
        strv_add(&argv, file);
        strv_add(&argv, json_get_string(reply, "hostKeyAlias", ""));
        for (char *const *operand = inv->operands; *operand; operand++)
                strv_add(&argv, *operand);
        execvp(argv[0], argv);
        return error_errno(err, errno, "cannot run ssh: install the package openssh-client");
}

const struct command command_ssh = {
        .name = "ssh",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_VERBATIM | COMMAND_EXEC_STATUS,
        .summary = "run ssh into the VM",
        .operands = "[--] [ARGUMENT...]",
        .description =
                "Becomes ssh with the configuration that 'initvm ssh-config' prints. The arguments are ssh's: a command, which a "
                "shell in the VM reads, or options, behind '--'. The VM must run. The exit status is ssh's: the command's own, "
                "or 255; 125 when it does not come to that.",
        .examples = "initvm ssh\n"
                    "initvm ssh 'cd /srv && ls'\n"
                    "initvm ssh -- -l builder -A",
        .run = run,
};
