/* SPDX-License-Identifier: MIT */
#include "cli/help.h"

#include "cli/commands.h"
#include "cli/text.h"

#include <string.h>

/* Help keeps to a classic terminal's width wherever it is read. */
#define HELP_WIDTH     80
#define SUMMARY_COLUMN 14
#define OPTION_COLUMN  26

static const char *const group_titles[_GROUP_MAX] = {
        [GROUP_MACHINE] = "Virtual machines",
        [GROUP_INSIDE] = "Inside a running VM",
        [GROUP_ITSELF] = "initvm itself",
};

void help_overview(struct buf *out)
{
        buf_printf(out, "initvm makes and runs sealed Debian virtual machines for building.\n\n"
                        "usage: initvm [-n NAME] COMMAND [OPTIONS] [OPERANDS]\n");
        for (int g = 0; g < _GROUP_MAX; g++) {
                buf_printf(out, "\n%s\n", group_titles[g]);
                for (size_t i = 0; commands[i]; i++) {
                        const struct command *c = commands[i];

                        if ((int)c->group == g)
                                buf_printf(out, "  %-*s%s\n", SUMMARY_COLUMN - 2, c->name, c->summary);
                }
        }
        buf_printf(out, "\n'initvm help COMMAND' explains a command, initvm(1) all of them.\n"
                        "The first VM: initvm create && initvm start\n");
}

void help_usage(const struct command *c, struct buf *out)
{
        autofree char *name = command_full_name(c);

        buf_printf(out, "initvm %s%s%s", name, c->options || (c->flags & COMMAND_VM) ? " [OPTIONS]" : "",
                   c->flags & COMMAND_VM_OPERAND ? " [NAME]" : "");
        if (c->operands)
                buf_printf(out, " %s", c->operands);
}

static void help_options(const struct option_spec *table, struct buf *out)
{
        for (const struct option_spec *o = table; o && o->name; o++) {
                autobuf struct buf left = {0}, right = {0};
                autofree char *text = NULL, *help = NULL;

                buf_printf(&left, "  %c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ', o->letter ? "," : " ",
                           o->name,
                           o->type == OPTION_SWITCH ? "[=yes|no]"
                           : o->argument            ? " "
                                                    : "",
                           o->argument ? o->argument : "");
                text = buf_take_string(&left);
                text_append_wrapped(&right, o->help, OPTION_COLUMN, HELP_WIDTH);
                help = buf_take_string(&right);
                if (strlen(text) + 2 > OPTION_COLUMN)
                        buf_printf(out, "%s\n%s", text, help);
                else
                        buf_printf(out, "%-*s%s", OPTION_COLUMN, text, help + OPTION_COLUMN);
        }
}

static void help_family(const struct command *c, struct buf *out)
{
        buf_printf(out, "initvm %s COMMAND [OPTIONS] [OPERANDS]\n\n", c->name);
        for (size_t i = 0; c->subcommands[i]; i++)
                buf_printf(out, "  %-*s%s\n", SUMMARY_COLUMN - 2, c->subcommands[i]->name, c->subcommands[i]->summary);
        buf_printf(out, "\n'initvm help %s COMMAND' explains each of them.\n", c->name);
}

void help_command(const struct command *c, struct buf *out)
{
        autofree char *name = command_full_name(c);

        buf_printf(out, "%s: %s\n\nusage: ", name, c->summary);
        if (c->subcommands)
                help_family(c, out);
        else
                help_usage(c, out);
        buf_printf(out, c->subcommands ? "" : "\n");
        if (c->alias)
                buf_printf(out, "alias: initvm %s%s%s\n", c->parent ? c->parent->name : "", c->parent ? " " : "", c->alias);
        if (c->description) {
                buf_printf(out, "\n");
                text_append_wrapped(out, c->description, 0, HELP_WIDTH);
        }
        buf_printf(out, "\noptions:\n");
        help_options(c->options, out);
        help_options(c->flags & COMMAND_VM ? common_options : common_options + 1, out);
        if (c->examples) {
                buf_printf(out, "\nexamples:\n");
                text_append_wrapped(out, c->examples, 2, HELP_WIDTH);
        }
}
