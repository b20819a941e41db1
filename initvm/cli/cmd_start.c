/* SPDX-License-Identifier: MIT */
/* initvm start: boots a VM, and returns when its agent has said Hello. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/vm.h"

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *vm = NULL;
        autoclient struct client *c = NULL;
        uint64_t began = now_ms();
        int r;

        if (daemon_connect(&c, err) < 0)
                return -1;
        r = vm_run_start(c, inv, &vm, err);
        if (r == 0)
                vm_tell_running(inv, vm, now_ms() - began);
        return r;
}

static const struct option_spec options[] = {
        {.name = "timeout",
         .letter = 't',
         .type = OPTION_SECONDS,
         .argument = "SECONDS",
         .help = "give up when the VM is not ready by then"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_start = {
        .name = "start",
        .group = GROUP_MACHINE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "boot the VM and wait until it is ready",
        .options = options,
        .description =
                "Returns when the agent in the VM answers, so the next command can use it. When the time is over it says how far "
                "the boot came, with the last lines of the console.",
        .run = run,
};
