/* SPDX-License-Identifier: MIT */
/* initvm shell: a login shell in the VM on this terminal. */
#include "cli/commands.h"
#include "cli/remote_command.h"

#include <unistd.h>

static int run(const struct invocation *inv, struct error *err)
{
        const struct remote_command command = {.argv = inv->operands, .terminal = isatty(STDIN_FILENO)};

        return remote_command_run(inv, &command, err);
}

static const struct option_spec options[] = {REMOTE_COMMAND_OPTIONS, {0}};

const struct command command_shell = {
        .name = "shell",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND | COMMAND_VERBATIM | COMMAND_EXEC_STATUS,
        .summary = "use a shell in the VM",
        .operands = "[-- COMMAND [ARGUMENT...]]",
        .options = options,
        .description =
                "Runs the login shell of root, or of the user that is named, in the user's home; or a command in its place. This "
                "terminal becomes the one in the VM: its size follows, every key goes through. The exit status is that of the "
                "shell, with initvm's own as in 'initvm help exec'.\n"
                "Ctrl-] three times within a second hangs up, also when the VM no longer answers, as do SIGTERM and closing the "
                "terminal.\n"
                "When standard input is no terminal there is none in the VM either: the shell reads its commands from the input, "
                "as with ssh.",
        .examples = "initvm shell\n"
                    "initvm shell --user build --cwd /srv/hello\n"
                    "initvm shell -- mc /etc\n"
                    "initvm shell <script.sh",
        .run = run,
};
