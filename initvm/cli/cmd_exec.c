/* SPDX-License-Identifier: MIT */
/*
 * initvm exec: a command in the VM as if it ran here.  What goes wrong with initvm or the machine itself has the statuses 124 to
 * 127 (base/error.h), so that it is never taken for the command's failure.
 */
#include "cli/commands.h"
#include "cli/remote_command.h"

static int run(const struct invocation *inv, struct error *err)
{
        const struct remote_command command = {.argv = inv->operands, .terminal = arguments_flag(&inv->arguments, "tty")};

        return remote_command_run(inv, &command, err);
}

static const struct option_spec options[] = {
        REMOTE_COMMAND_OPTIONS,
        {.name = "tty", .letter = 't', .type = OPTION_FLAG, .help = "give it a terminal, for programs that want one"},
        {0},
};

const struct command command_exec = {
        .name = "exec",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_VERBATIM | COMMAND_EXEC_STATUS,
        .summary = "run a command in the VM",
        .operands = "[--] COMMAND [ARGUMENT...]",
        .min_operands = 1,
        .options = options,
        .description =
                "Standard input, output and error are passed on unchanged and apart, Ctrl-C and other signals reach the command, "
                "and the exit status is the command's own, or 128+N when signal N ended it. 127: no such command, 126: cannot be "
                "executed, 125: initvm or the VM failed, 124: a deadline passed.\n"
                "No shell is involved: use 'sh -c' for pipes and the like.\n"
                "With --tty all output is one, and the rest is as with 'initvm shell'.",
        .examples = "initvm exec -- uname -a\n"
                    "initvm exec --user build --cwd /srv/hello -- dpkg-buildpackage -us -uc\n"
                    "tar c src | initvm exec -- tar x -C /srv\n"
                    "initvm exec --tty -- top",
        .run = run,
};
