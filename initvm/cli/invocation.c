/* SPDX-License-Identifier: MIT */
/* From argv to a command and its arguments. Nothing here does input or output but getenv(3). */
#include "cli/command.h"
#include "cli/commands.h"

#include <stdlib.h>

const struct option_spec common_options[] = {
        {.name = "name",
         .letter = 'n',
         .type = OPTION_VM,
         .argument = "NAME",
         .help = "the VM (default: $INITVM_NAME, else 'default')"},
        {.name = "help", .letter = 'h', .type = OPTION_FLAG, .help = "explain the command"},
        {0},
};

static const struct option_spec program_options[] = {
        {.name = "version", .letter = 'V', .type = OPTION_FLAG, .help = "print the version"},
        {0},
};

static char *const no_operands[] = {NULL};

/* `help` and `help COMMAND`: the operand lives in the arguments. */
static void become_help(struct invocation *inv)
{
        const struct command *about = inv->command;

        strv_free(inv->arguments.operands);
        inv->arguments.operands = NULL;
        if (about && about->parent)
                strv_add(&inv->arguments.operands, about->parent->name);
        if (about)
                strv_add(&inv->arguments.operands, about->name);
        inv->operands = about ? inv->arguments.operands : no_operands;
        inv->command = &command_help;
}

/* The VM's name from the operand, the option, the environment or nothing. */
static int choose_vm(struct invocation *inv, struct error *err)
{
        const char *option = arguments_text(&inv->arguments, "name", NULL), *environment = getenv("INITVM_NAME");

        if ((inv->command->flags & COMMAND_VM_OPERAND) && inv->operands[0]) {
                if (option && !streq(option, inv->operands[0]))
                        return error_set(err, ERR_INVALID, "two VMs are named, '%s' and '%s': give one", option,
                                         inv->operands[0]);
                inv->name = *inv->operands++;
        } else if (option) {
                inv->name = option;
        } else {
                inv->name = environment && *environment ? environment : VM_NAME_DEFAULT;
        }
        if ((inv->command->flags & COMMAND_VM) && !vm_name_valid(inv->name))
                return error_set(
                        err, ERR_INVALID,
                        "'%s' cannot be a VM's name: use 1 to %d letters, digits, '.', '_' or '-', beginning with a letter "
                        "or a digit",
                        inv->name, VM_NAME_MAX);
        return 0;
}

static enum arguments_end how_far(const struct command *c)
{
        if (c->flags & COMMAND_BEHIND)
                return ARGUMENTS_TO_DASHES;
        if (!(c->flags & COMMAND_VERBATIM))
                return ARGUMENTS_ALL;
        return c->flags & COMMAND_VM_OPERAND ? ARGUMENTS_TO_DASHES : ARGUMENTS_TO_OPERAND;
}

static int check_operands(const struct invocation *inv, struct error *err)
{
        const struct command *c = inv->command;
        autofree char *name = command_full_name(c);
        size_t n = strv_length(inv->operands);

        if (n < c->min_operands)
                return error_set(err, ERR_INVALID, "something is missing behind '%s': %s", name, c->operands);
        if (n > c->max_operands && how_far(c) == ARGUMENTS_TO_DASHES)
                return error_set(err, ERR_INVALID, "'%s' is one word too many for '%s': a command for the VM goes behind '--'",
                                 inv->operands[c->max_operands], name);
        if (n > c->max_operands && !(c->flags & COMMAND_VERBATIM))
                return error_set(err, ERR_INVALID, "'%s' is one word too many for '%s'", inv->operands[c->max_operands], name);
        return 0;
}

/* From a family to the subcommand that the next word names, with the common options between them. */
static int choose_subcommand(struct invocation *inv, char *const **argv, struct error *err)
{
        const struct command *c;
        size_t used = 0;

        if (arguments_parse(&inv->arguments, *argv, common_options, NULL, ARGUMENTS_TO_OPERAND, &used, err) < 0)
                return -1;
        *argv += used;
        if (!**argv && arguments_flag(&inv->arguments, "help"))
                return 0;
        c = command_find_sub(inv->command, **argv, err);
        if (!c)
                return -1;
        (*argv)++;
        inv->command = c;
        return 0;
}

int invocation_parse(struct invocation *inv, char *const *argv, struct error *err)
{
        size_t used = 0;
        enum arguments_end end;

        *inv = (struct invocation){.operands = no_operands, .behind = no_operands};
        if (arguments_parse(&inv->arguments, argv, common_options, program_options, ARGUMENTS_TO_OPERAND, &used, err) < 0)
                return -1;
        argv += used;
        if (arguments_flag(&inv->arguments, "version")) {
                inv->command = &command_version;
                return 0;
        }
        if (*argv) {
                inv->command = command_find(*argv++, err);
                if (!inv->command)
                        return -1;
        }
        if (!inv->command || arguments_flag(&inv->arguments, "help")) {
                if (arguments_flag(&inv->arguments, "help"))
                        become_help(inv);
                return 0;
        }
        if (inv->command->subcommands && choose_subcommand(inv, &argv, err) < 0)
                return -1;
        if (arguments_flag(&inv->arguments, "help")) {
                become_help(inv);
                return 0;
        }
        end = how_far(inv->command);
        if (arguments_parse(&inv->arguments, argv, common_options, inv->command->options, end, &used, err) < 0)
                return -1;
        if (arguments_flag(&inv->arguments, "help")) {
                become_help(inv);
                return 0;
        }
        if (end == ARGUMENTS_TO_OPERAND)
                inv->operands = argv + used;
        else if (inv->arguments.operands)
                inv->operands = inv->arguments.operands;
        inv->json = arguments_flag(&inv->arguments, "json");
        if (choose_vm(inv, err) < 0 || check_operands(inv, err) < 0)
                return -1;
        if (inv->command->flags & COMMAND_BEHIND)
                inv->behind = argv + used;
        else if (end == ARGUMENTS_TO_DASHES)
                inv->operands = argv + used;
        return 0;
}

void invocation_done(struct invocation *inv)
{
        arguments_done(&inv->arguments);
}
