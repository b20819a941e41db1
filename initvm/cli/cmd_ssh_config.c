/* SPDX-License-Identifier: MIT */
/* initvm ssh-config: what ssh, scp, sftp, rsync and git need to get into the VM without a question. */
#include "cli/commands.h"
#include "cli/ssh_config.h"

#include <stdlib.h>

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *reply = NULL;
        autofree char *text = NULL;

        if (ssh_config_prepare(inv, arguments_flag(&inv->arguments, "renew-host-key"), &reply, &text, err) < 0)
                return -1;
        fputs(text, stdout);
        return 0;
}

static const struct option_spec options[] = {
        {.name = "renew-host-key", .type = OPTION_FLAG, .help = "pin the host key that the VM has now"},
        {0},
};

const struct command command_ssh_config = {
        .name = "ssh-config",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "print an SSH client's configuration for the VM",
        .options = options,
        .description =
                "Prints a block for ~/.ssh/config, or for the option -F of ssh, scp, sftp and git's core.sshCommand; the VM is "
                "the "
                "host 'initvm-NAME' there. It has a key of its own, which was put into the VM, and the VM's host key, fetched "
                "through the agent and pinned: ssh asks nothing, and refuses any other host key.",
        .examples = "initvm ssh-config >>~/.ssh/config\n"
                    "initvm ssh-config >config && scp -F config file initvm-default:/srv/\n"
                    "rsync -a -e 'ssh -F config' src initvm-default:/srv/",
        .run = run,
};
