/* SPDX-License-Identifier: MIT */
/* initvm help: the overview, or one command. */
#include "cli/commands.h"
#include "cli/help.h"

#include <stdio.h>

static int run(const struct invocation *inv, struct error *err)
{
        autobuf struct buf b = {0};
        autofree char *text = NULL;

        if (inv->operands[0]) {
                const struct command *c = command_find(inv->operands[0], err);

                if (c && inv->operands[1] && !c->subcommands)
                        return error_set(err, ERR_INVALID, "'%s' has no commands of its own", c->name);
                if (c && inv->operands[1])
                        c = command_find_sub(c, inv->operands[1], err);
                if (!c)
                        return -1;
                help_command(c, &b);
        } else {
                help_overview(&b);
        }
        text = buf_take_string(&b);
        fputs(text, stdout);
        return 0;
}

const struct command command_help = {
        .name = "help",
        .group = GROUP_ITSELF,
        .summary = "explain a command, or list them all",
        .operands = "[COMMAND [SUBCOMMAND]]",
        .max_operands = 2,
        .run = run,
};
