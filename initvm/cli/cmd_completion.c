/* SPDX-License-Identifier: MIT */
/* initvm completion: scripts for the shells, made from the tables of the commands. */
#include "cli/commands.h"
#include "cli/completion.h"

#include <stdio.h>

static int run(const struct invocation *inv, struct error *err)
{
        static const struct {
                const char *shell;
                void (*write)(struct buf *out);
        } shells[] = {{"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};

        for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
                if (streq(inv->operands[0], shells[i].shell)) {
                        autobuf struct buf b = {0};
                        autofree char *text = NULL;

                        shells[i].write(&b);
                        text = buf_take_string(&b);
                        fputs(text, stdout);
                        return 0;
                }
        return error_set(err, ERR_INVALID, "there is no completion for '%s': use bash, zsh or fish", inv->operands[0]);
}

const struct command command_completion = {
        .name = "completion",
        .group = GROUP_ITSELF,
        .summary = "print the completion script for a shell",
        .operands = "bash|zsh|fish",
        .words = "bash|zsh|fish",
        .min_operands = 1,
        .max_operands = 1,
        .examples = "initvm completion bash > ~/.local/share/bash-completion/completions/initvm",
        .run = run,
};
