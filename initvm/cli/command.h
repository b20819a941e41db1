/* SPDX-License-Identifier: MIT */
/*
 * What a command is: one file that ends in one const struct command, and one line in the table of commands.c.  Help, shell
 * completion and the parser are made from these; to add a command is to add its file and that line.
 *
 * A command may be a family of subcommands ("initvm chroot run"), each with operands and options of its own.  Their table is in
 * the family's file.
 */
#pragma once

#include "base/error.h"
#include "cli/arguments.h"

enum command_group { GROUP_MACHINE, GROUP_INSIDE, GROUP_ITSELF, _GROUP_MAX };

enum command_flags {
        COMMAND_VM = 1,         /* works on one VM: takes -n, and checks the name */
        COMMAND_VM_OPERAND = 2, /* the VM may also be named by an operand */
        COMMAND_VERBATIM = 4,   /* everything from the first operand on is passed on as it is; where the VM is an operand, what is
                                   behind "--" */
        COMMAND_EXEC_STATUS = 8, /* passes on another program's exit status: own failures are 124 to 127 */
        COMMAND_FILES = 16,      /* the operands are files here, or NAME:PATH; for completion */
        COMMAND_BEHIND = 32,     /* its operands may be followed by "--" and a command for the VM */
};

/* One use of the program: what was parsed. */
struct invocation {
        const struct command *command;
        struct arguments arguments;
        char *const *operands; /* never NULL; the VM's name is no longer among them */
        char *const *behind;   /* COMMAND_BEHIND: what stands behind "--"; never NULL */
        const char *name;      /* of the VM: operand, -n, INITVM_NAME, "default" */
        bool json;
};

struct command {
        const char *name;
        const char *alias;                        /* or NULL */
        const struct command *parent;             /* of a subcommand ("initvm PARENT NAME"), else NULL */
        const struct command *const *subcommands; /* NULL-terminated: then the rest below is theirs, but for flags, summary,
                                                     words, description and examples; or NULL */
        enum command_group group;
        unsigned flags;
        const char *summary;   /* one line of the overview */
        const char *operands;  /* how usage shows them, or NULL */
        const char *words;     /* the first operand is one of these ("start|stop"), for completion; or NULL */
        unsigned min_operands; /* besides the VM's name */
        unsigned max_operands;
        const struct option_spec *options; /* or NULL */
        const char *description;           /* for --help, or NULL */
        const char *examples;              /* for --help, one a line, or NULL */

        /* Returns the exit status, or -1 with *err, which main prints. */
        int (*run)(const struct invocation *inv, struct error *err);
};

#define VM_NAME_DEFAULT "default"

/* "create", "chroot run". Owned. */
char *command_full_name(const struct command *c);

#define OPTION_JSON_HELP                                                                                                         \
        {                                                                                                                        \
                .name = "json", .type = OPTION_FLAG, .help = "print JSON, one object a line"                                     \
        }

/* Options of every command. */
extern const struct option_spec common_options[];

/* Finds out what is meant: fills *inv, which borrows from argv (without the program's name). `initvm X --help` becomes the
 * command "help X". An empty command line leaves inv->command NULL. On failure inv->command says how far it came. */
int invocation_parse(struct invocation *inv, char *const *argv, struct error *err);
void invocation_done(struct invocation *inv);
