/* SPDX-License-Identifier: MIT */
/* initvm stop: shuts a VM down. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/vm.h"

#include <stdio.h>

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *vm = NULL;
        autoclient struct client *c = NULL;
        int r;

        if (daemon_connect(&c, err) < 0)
                return -1;
        r = vm_run_stop(c, inv, &vm, err);
        if (r != 0)
                return r;
        if (inv->json)
                vm_print_json(vm);
        else
                printf("'%s' is stopped\n", inv->name);
        return 0;
}

static const struct option_spec options[] = {
        {.name = "force", .letter = 'f', .type = OPTION_FLAG, .help = "pull the plug: do not ask the guest to shut down"},
        {.name = "timeout",
         .letter = 't',
         .type = OPTION_SECONDS,
         .argument = "SECONDS",
         .help = "pull the plug when the guest is not down by then"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_stop = {
        .name = "stop",
        .group = GROUP_MACHINE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "shut the VM down",
        .options = options,
        .description =
                "Asks the guest to shut down, waits for it, and ends it when it takes too long. A VM that does not run is fine.",
        .run = run,
};
