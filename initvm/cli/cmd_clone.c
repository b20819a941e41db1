/* SPDX-License-Identifier: MIT */
/* initvm clone: a copy of a stopped VM that is a machine of its own. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/operation.h"
#include "cli/vm.h"

#include <stdio.h>

static int run(const struct invocation *inv, struct error *err)
{
        struct operation op = {.method = "org.initvm.Clone", .json = inv->json, .cancelled = "nothing was left behind"};
        autojson struct json_object *vm = NULL;
        autoclient struct client *c = NULL;
        uint64_t began = now_ms();
        int r;

        if (daemon_connect(&c, err) < 0)
                return -1;
        op.parameters = json_new();
        json_add_string(op.parameters, "name", inv->operands[0]);
        json_add_string(op.parameters, "target", inv->operands[1]);
        r = operation_run(c, &op, &vm, err);
        if (r != 0)
                return r;
        if (inv->json)
                vm_print_json(vm);
        else
                printf("cloned '%s' as '%s' in %.1f s\nnext: initvm -n %s start\n", inv->operands[0], inv->operands[1],
                       (double)(now_ms() - began) / 1000, inv->operands[1]);
        return 0;
}

static const struct option_spec options[] = {OPTION_JSON_HELP, {0}};

const struct command command_clone = {
        .name = "clone",
        .group = GROUP_MACHINE,
        .summary = "copy a stopped VM",
        .operands = "SOURCE NAME",
        .min_operands = 2,
        .max_operands = 2,
        .options = options,
        .description =
                "The copy is a machine of its own: it has another machine-id, host name, SSH host key and key for 'initvm ssh', "
                "and a network card with another address. Snapshots are not copied; 'initvm reset' of the copy goes back to what "
                "it was right after this. Where the file system can, both share what is the same.",
        .examples = "initvm clone default test",
        .run = run,
};
