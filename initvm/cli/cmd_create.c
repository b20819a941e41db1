/* SPDX-License-Identifier: MIT */
/* initvm create: a new VM from an image and a preseed, or with the system of an image that is there. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/vm.h"

#include <stdio.h>

static void tell_created(const struct invocation *inv, struct json_object *vm, uint64_t took_ms)
{
        autofree char *prefix = vm_prefix(inv);
        struct json_object *disk = json_get(vm, "disk");

        printf("created '%s' from %s in %.0f s\n", inv->name, json_get_string(vm, "image", "the image"), (double)took_ms / 1000);
        printf("%s/buildenv.img, %s of %s used\n", json_get_string(vm, "folder", "?"),
               format_size(json_get_u64(disk, "allocated", 0)), format_size(json_get_u64(disk, "virtual", 0)));
        printf("next: %s start\n", prefix);
        printf("then: %s exec -- COMMAND, or %s attach\n", prefix, prefix);
}

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *parameters = NULL, *vm = NULL;
        autoclient struct client *c = NULL;
        uint64_t began = now_ms();
        int r;

        if (vm_create_parameters(inv, &parameters, err) < 0 || daemon_connect(&c, err) < 0)
                return -1;
        r = vm_run_create(c, inv, take_ptr(parameters), &vm, err);
        if (r != 0)
                return r;
        if (inv->json)
                vm_print_json(vm);
        else
                tell_created(inv, vm, now_ms() - began);
        return 0;
}

static const struct option_spec options[] = {VM_CREATE_OPTIONS, OPTION_JSON_HELP, {0}};

const struct command command_create = {
        .name = "create",
        .group = GROUP_MACHINE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "make a new VM from an image and a preseed",
        .options = options,
        .description =
                "Installs Debian into a new buildenv.img as the preseed says. Answers that cannot be honoured are listed with "
                "their lines. With --from the system comes from an image of Debian or Ubuntu instead, which is copied and gets "
                "the "
                "agent. Ctrl-C cancels and leaves nothing behind.\n"
                "With --json each line is a progress event, the last one {\"vm\": ...}.",
        .examples = "initvm create\n"
                    "initvm -n old create --image debian-12-amd64 --size 20G --memory 4G\n"
                    "initvm create --preseed ./my.cfg --mirror http://mirror.example/debian\n"
                    "initvm create --from ./debian-12-generic-amd64.qcow2",
        .run = run,
};
