/* SPDX-License-Identifier: MIT */
/* initvm ensure: whatever was before, afterwards the VM is there and runs. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/vm.h"

/* Creates the VM when it is not there. One that somebody else finished in the meantime is as good. */
static int ensure_created(struct client *c, const struct invocation *inv, struct json_object **ret_vm, struct error *err)
{
        autojson struct json_object *parameters = NULL, *vm = NULL;
        int r;

        if (vm_status(c, inv, &vm, err) == 0) {
                *ret_vm = take_ptr(vm);
                return 0;
        }
        if (err->code != ERR_NOT_FOUND || vm_create_parameters(inv, &parameters, err) < 0)
                return -1;
        r = vm_run_create(c, inv, take_ptr(parameters), &vm, err);
        if (r == 0)
                *ret_vm = take_ptr(vm);
        if (r < 0 && err->code == ERR_EXISTS)
                return vm_status(c, inv, ret_vm, err);
        return r;
}

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *vm = NULL, *started = NULL;
        autoclient struct client *c = NULL;
        uint64_t began = now_ms();
        int r;

        if (daemon_connect(&c, err) < 0)
                return -1;
        r = ensure_created(c, inv, &vm, err);
        if (r != 0)
                return r;
        if (vm_is_ready(vm)) {
                vm_tell_running(inv, vm, 0);
                return 0;
        }
        r = vm_run_start(c, inv, &started, err);
        if (r == 0)
                vm_tell_running(inv, started, now_ms() - began);
        return r;
}

static const struct option_spec options[] = {
        VM_CREATE_OPTIONS,
        {.name = "timeout",
         .letter = 't',
         .type = OPTION_SECONDS,
         .argument = "SECONDS",
         .help = "give up when the VM is not ready by then"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_ensure = {
        .name = "ensure",
        .group = GROUP_MACHINE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "create the VM if need be, and start it if need be",
        .options = options,
        .description =
                "For scripts: afterwards the VM is there and ready. The options of 'create' count only when it is made now; a VM "
                "that is there already stays as it is.",
        .run = run,
};
