/* SPDX-License-Identifier: MIT */
/* initvm version: ours. The daemon's is in 'initvm daemon status'. */
#include "cli/commands.h"

#include <stdio.h>

static int run(const struct invocation *inv, struct error *err)
{
        (void)inv;
        (void)err;
        printf("initvm %s\n", INITVM_VERSION);
        return 0;
}

const struct command command_version = {
        .name = "version",
        .group = GROUP_ITSELF,
        .summary = "print the version",
        .run = run,
};
