/* SPDX-License-Identifier: MIT */
/* initvm cp: files between the host and VMs. Where they go is as with cp(1); how a path in a VM is written, as with scp(1). */
#include "cli/commands.h"
#include "cli/copy_operands.h"

static int run(const struct invocation *inv, struct error *err)
{
        struct copy_operands o;
        int status = -1;

        if (copy_operands_parse(inv, &o, err) == 0) {
                o.copy.user = arguments_text(&inv->arguments, "user", NULL);
                o.copy.quiet = arguments_flag(&inv->arguments, "quiet");
                status = copy_run(&o.copy, err);
        }
        copy_operands_done(&o);
        return status;
}

static const struct option_spec options[] = {
        {.name = "user",
         .letter = 'u',
         .type = OPTION_STRING,
         .argument = "USER",
         .help = "read and write in the VM as this user (default: root)"},
        {.name = "quiet", .letter = 'q', .type = OPTION_FLAG, .help = "show no progress"},
        {0},
};

const struct command command_cp = {
        .name = "cp",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_FILES,
        .summary = "copy files and folders into or out of the VM",
        .operands = "SOURCE... DESTINATION",
        .min_operands = 2,
        .max_operands = 65536,
        .options = options,
        .description =
                "A path in a VM is written NAME:PATH, or :PATH for the VM of -n; a relative one begins in the user's home. '-' "
                "is "
                "standard input or output. A path on the host that has a colon before any slash is written './a:b'.\n"
                "Folders are copied whole. A destination that is a folder takes the sources under their names; several sources "
                "need "
                "one. A file appears under its name when it is whole. Modes and times are kept; owner is the user who writes.",
        .examples = "initvm cp hello :/srv\n"
                    "initvm cp build:/srv/hello_1.0_amd64.deb .\n"
                    "initvm cp :/etc/apt/sources.list -\n"
                    "tar c src | initvm cp - :src.tar",
        .run = run,
};
