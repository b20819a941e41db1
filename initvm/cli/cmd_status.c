/* SPDX-License-Identifier: MIT */
/* initvm status: all that is known of one VM. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/vm.h"

#include <stdio.h>
#include <time.h>

static char *describe_channel(struct json_object *vm)
{
        const char *way = streq(json_get_string(vm, "channel", ""), "ssh") ? "SSH" : "virtio port";
        uint64_t port = json_get_u64(vm, "sshPort", 0);

        return port ? xasprintf("%s; 127.0.0.1 port %llu leads to the SSH server", way, (unsigned long long)port) : xstrdup(way);
}

static void lines_of_now(struct json_object *vm)
{
        const char *agent = json_get_string(vm, "agent", "none"), *state = json_get_string(vm, "state", "?");
        autofree char *both = streq(agent, "none") ? xstrdup(state) : xasprintf("%s, agent %s", state, agent);
        autofree char *uptime = text_duration(json_get_u64(vm, "uptime", 0));
        autofree char *channel = describe_channel(vm);
        autofree char *pid = xasprintf("pid %llu", (unsigned long long)json_get_u64(vm, "pid", 0));

        table_print_pair("state", both);
        table_print_pair("channel", channel);
        table_print_pair("no agent", json_get_string(vm, "channelTrouble", NULL));
        table_print_pair("reason", json_get_string(vm, "reason", NULL));
        if (json_get(vm, "panic"))
                table_print_pair("panic",
                                 "the guest's kernel panicked, and booted again; 'initvm console --log' shows what it said");
        table_print_pair("uptime", json_get(vm, "uptime") ? uptime : NULL);
        table_print_pair("acceleration", json_get_string(vm, "acceleration", NULL));
        table_print_pair("QEMU", json_get(vm, "pid") ? pid : NULL);
}

static void lines_of_make(struct json_object *vm)
{
        struct json_object *disk = json_get(vm, "disk");
        time_t created = (time_t)json_get_u64(vm, "created", 0);
        autofree char *image = NULL, *hardware = NULL, *size = NULL;
        struct tm tm;
        char date[64];

        image = xasprintf("%s (%s, %s)", json_get_string(vm, "image", "?"), json_get_string(vm, "suite", "?"),
                          json_get_string(vm, "architecture", "?"));
        hardware = xasprintf("%llu CPUs, %s of memory", (unsigned long long)json_get_u64(vm, "cpus", 0),
                             format_size(json_get_u64(vm, "memory", 0)));
        size = xasprintf("%s, %s used on the host", format_size(json_get_u64(disk, "virtual", 0)),
                         format_size(json_get_u64(disk, "allocated", 0)));
        table_print_pair("image", image);
        table_print_pair("hostname", json_get_string(vm, "hostname", NULL));
        table_print_pair("hardware", hardware);
        table_print_pair("disk", size);
        if (created > 0 && localtime_r(&created, &tm) && strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm) > 0)
                table_print_pair("created", date);
        table_print_pair("folder", json_get_string(vm, "folder", NULL));
        table_print_pair("console log", json_get_string(vm, "consoleLog", NULL));
}

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *vm = NULL;
        autoclient struct client *c = NULL;

        if (daemon_connect(&c, err) < 0 || vm_status(c, inv, &vm, err) < 0)
                return -1;
        if (inv->json) {
                printf("%s\n", json_line(vm));
                return 0;
        }
        table_print_pair("name", json_get_string(vm, "name", inv->name));
        lines_of_now(vm);
        lines_of_make(vm);
        return 0;
}

static const struct option_spec options[] = {OPTION_JSON_HELP, {0}};

const struct command command_status = {
        .name = "status",
        .group = GROUP_MACHINE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "show all that is known of the VM",
        .options = options,
        .description = "Exits with 0 whatever the state is, as long as the VM is there.",
        .run = run,
};
