/* SPDX-License-Identifier: MIT */
/* initvm destroy: removes a VM and all that create made. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/vm.h"

#include <stdio.h>
#include <unistd.h>

/* The VM is stopped first, which has deadlines of its own in the daemon; then its files are removed. */
#define DESTROY_DEADLINE_MS 300000u

static bool answered_yes(void)
{
        char line[16];

        fflush(stdout);
        if (!fgets(line, sizeof(line), stdin))
                return false;
        return line[0] == 'y' || line[0] == 'Y';
}

/* 1: go on; 0: the user said no, or there is nothing; -1: nobody can be asked. */
static int confirm(struct client *c, const struct invocation *inv, struct error *err)
{
        autojson struct json_object *vm = NULL;

        if (arguments_flag(&inv->arguments, "yes"))
                return 1;
        if (vm_status(c, inv, &vm, err) < 0)
                return err->code == ERR_NOT_FOUND ? 1 : -1; /* the daemon's answer to Destroy says the same */
        if (!isatty(STDIN_FILENO))
                return error_set(err, ERR_INVALID,
                                 "'%s' would be removed for ever, and there is no terminal to ask on: add --yes", inv->name);
        printf("remove '%s' (%s, %s on disk) from '%s' for ever? [y/N] ", inv->name, json_get_string(vm, "state", "?"),
               format_size(json_get_u64(json_get(vm, "disk"), "allocated", 0)), json_get_string(vm, "folder", "?"));
        if (answered_yes())
                return 1;
        printf("'%s' was kept\n", inv->name);
        return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *reply = NULL;
        autoclient struct client *c = NULL;
        int r;

        if (daemon_connect(&c, err) < 0)
                return -1;
        r = confirm(c, inv, err);
        if (r <= 0)
                return r < 0 ? -1 : 1;
        if (client_call(c, "org.initvm.Destroy", vm_parameters(inv), 0, DESTROY_DEADLINE_MS, &reply, err) < 0)
                return -1;
        if (inv->json)
                printf("%s\n", json_line(reply));
        else if (json_get_bool(reply, "removed", false))
                printf("'%s' is removed\n", inv->name);
        else
                printf("'%s' was not there, nothing was removed\n", inv->name);
        return 0;
}

static const struct option_spec options[] = {
        {.name = "yes", .letter = 'y', .type = OPTION_FLAG, .help = "do not ask"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_destroy = {
        .name = "destroy",
        .group = GROUP_MACHINE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "remove the VM and its disk for ever",
        .options = options,
        .description =
                "Stops the VM when it runs, and removes exactly what 'create' made. A VM that is not there is fine. Asks on a "
                "terminal; elsewhere it needs --yes.",
        .run = run,
};
