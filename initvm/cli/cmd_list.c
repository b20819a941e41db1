/* SPDX-License-Identifier: MIT */
/* initvm list: all VMs. */
#include "base/paths.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *state_style(const char *state)
{
        if (streq(state, "running"))
                return terminal_style(STDOUT_FILENO, STYLE_GREEN);
        if (streq(state, "stopped"))
                return NULL;
        return terminal_style(STDOUT_FILENO, STYLE_YELLOW);
}

static void add_row(struct table *t, struct json_object *vm)
{
        struct json_object *disk = json_get(vm, "disk");
        const char *state = json_get_string(vm, "state", "?");
        autofree char *uptime = json_get(vm, "uptime") ? text_duration(json_get_u64(vm, "uptime", 0)) : NULL;

        table_add(t, json_get_string(vm, "name", "?"), NULL);
        table_add(t, state, state_style(state));
        table_add(t, json_get_string(vm, "suite", "?"), NULL);
        table_add(t, json_get_string(vm, "architecture", "?"), NULL);
        table_addf(t, "%llu", (unsigned long long)json_get_u64(vm, "cpus", 0));
        table_add(t, format_size(json_get_u64(vm, "memory", 0)), NULL);
        table_addf(t, "%s of %s", format_size(json_get_u64(disk, "allocated", 0)), format_size(json_get_u64(disk, "virtual", 0)));
        table_add(t, uptime, NULL);
}

static void print_table(struct json_object *vms)
{
        static const char *const headings[] = {"NAME", "STATE", "SUITE", "ARCH", "CPUS", "MEMORY", "DISK", "UPTIME", NULL};
        autobuf struct buf out = {0};
        autofree char *text = NULL;
        struct table t;

        table_init(&t, headings);
        for (size_t i = 0; i < json_object_array_length(vms); i++)
                add_row(&t, json_object_array_get_idx(vms, i));
        table_render(&t, &out);
        table_done(&t);
        text = buf_take_string(&out);
        fputs(text, stdout);
}

static int compare(const struct dirent **a, const struct dirent **b)
{
        return alphasort(a, b);
}

static int is_vm(const struct dirent *d)
{
        return vm_name_valid(d->d_name);
}

/* For completion, at every press of a key: from the folders, without waking a daemon. */
static int print_names(struct error *err)
{
        struct paths paths;
        struct dirent **found = NULL;
        autofree char *folder = NULL;
        int n;

        if (paths_init(&paths, err) < 0)
                return -1;
        folder = xasprintf("%s/vms", paths.state);
        paths_done(&paths);
        n = scandir(folder, &found, is_vm, compare);
        for (int i = 0; i < n; i++) {
                printf("%s\n", found[i]->d_name);
                free(found[i]);
        }
        free(found);
        return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *reply = NULL;
        struct json_object *vms;

        if (arguments_flag(&inv->arguments, "names"))
                return print_names(err);
        if (daemon_call("org.initvm.List", NULL, &reply, err) < 0)
                return -1;
        vms = json_get(reply, "vms");
        if (!json_object_is_type(vms, json_type_array))
                return error_set(err, ERR_PROTOCOL, "the daemon's answer lists no VMs");
        for (size_t i = 0; inv->json && i < json_object_array_length(vms); i++)
                printf("%s\n", json_line(json_object_array_get_idx(vms, i)));
        if (inv->json)
                return 0;
        if (json_object_array_length(vms) == 0)
                fprintf(stderr, "there are no VMs yet; 'initvm create' makes one\n");
        else
                print_table(vms);
        return 0;
}

static const struct option_spec options[] = {
        {.name = "names", .letter = 'q', .type = OPTION_FLAG, .help = "print only the names, without starting the daemon"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_list = {
        .name = "list",
        .alias = "ls",
        .group = GROUP_MACHINE,
        .summary = "list the VMs",
        .options = options,
        .description = "With --json, one object a line for each VM.",
        .run = run,
};
