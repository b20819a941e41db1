/* SPDX-License-Identifier: MIT */
/* initvm restart: stop, if it runs, and start. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/vm.h"

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *before = NULL, *stopped = NULL, *vm = NULL;
        autoclient struct client *c = NULL;
        uint64_t began = now_ms();
        int r = 0;

        if (daemon_connect(&c, err) < 0 || vm_status(c, inv, &before, err) < 0)
                return -1;
        if (!streq(json_get_string(before, "state", NULL), "stopped"))
                r = vm_run_stop(c, inv, &stopped, err);
        if (r == 0)
                r = vm_run_start(c, inv, &vm, err);
        if (r == 0)
                vm_tell_running(inv, vm, now_ms() - began);
        return r;
}

static const struct option_spec options[] = {
        {.name = "force", .letter = 'f', .type = OPTION_FLAG, .help = "pull the plug: do not ask the guest to shut down"},
        {.name = "timeout",
         .letter = 't',
         .type = OPTION_SECONDS,
         .argument = "SECONDS",
         .help = "for the shutdown, and again for the start"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_restart = {
        .name = "restart",
        .group = GROUP_MACHINE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "stop the VM, if it runs, and start it",
        .options = options,
        .run = run,
};
