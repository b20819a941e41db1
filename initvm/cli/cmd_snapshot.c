/* SPDX-License-Identifier: MIT */
/* initvm snapshot, and initvm reset, which restores the one that create has made. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/disk.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/vm.h"

#include <stdio.h>
#include <time.h>

/* As daemon/snapshot_boot.h has it. */
#define SNAPSHOT_CREATED "created"

static int call(const struct invocation *inv, const char *method, const char *snapshot, struct json_object **ret,
                struct error *err)
{
        struct json_object *parameters = json_new();

        json_add_string(parameters, "snapshot", snapshot);
        return disk_call(inv, method, parameters, "look with 'initvm snapshot list' whether it was done before", ret, err);
}

static int tell(const struct invocation *inv, int r, struct json_object *disk, const char *fmt, const char *snapshot)
{
        if (r != 0)
                return r;
        if (inv->json)
                disk_print_json(disk);
        else
                printf(fmt, snapshot, inv->name);
        return 0;
}

static int run_create(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *disk = NULL;
        int r = call(inv, "org.initvm.CreateSnapshot", inv->operands[0], &disk, err);

        return tell(inv, r, disk, "made the snapshot '%s' of '%s'\n", inv->operands[0]);
}

static int run_restore(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *disk = NULL;
        int r = call(inv, "org.initvm.RestoreSnapshot", inv->operands[0], &disk, err);

        return tell(inv, r, disk, "restored the snapshot '%s' of '%s'\n", inv->operands[0]);
}

static int run_remove(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *disk = NULL;
        int r = call(inv, "org.initvm.RemoveSnapshot", inv->operands[0], &disk, err);

        return tell(inv, r, disk, "removed the snapshot '%s' of '%s'\n", inv->operands[0]);
}

static int run_reset(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *disk = NULL, *vm = NULL;
        autoclient struct client *c = NULL;
        int r = call(inv, "org.initvm.RestoreSnapshot", SNAPSHOT_CREATED, &disk, err);
        struct error other = ERROR_INIT;

        if (r < 0 && err->code == ERR_NOT_FOUND && daemon_connect(&c, &other) == 0 && vm_status(c, inv, &vm, &other) == 0)
                error_prefix(err, "VM '%s' cannot be reset: its snapshot '" SNAPSHOT_CREATED "' was removed, or never made",
                             inv->name);
        return tell(inv, r, disk, "reset to the snapshot '%s': '%s' is as create has left it\n", SNAPSHOT_CREATED);
}

static int run_list(const struct invocation *inv, struct error *err)
{
        static const char *const headings[] = {"NAME", "CREATED", NULL};
        autojson struct json_object *disk = NULL;
        struct json_object *list;
        autobuf struct buf out = {0};
        autofree char *text = NULL;
        struct table t;
        int r = disk_call(inv, "org.initvm.ListSnapshots", NULL, DISK_UNCHANGED, &disk, err);

        if (r != 0)
                return r;
        list = json_get(disk, "snapshots");
        table_init(&t, headings);
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                struct json_object *o = json_object_array_get_idx(list, i);
                time_t created = (time_t)json_get_u64(o, "created", 0);
                char date[64] = "";
                struct tm tm;

                if (inv->json) {
                        printf("%s\n", json_line(o));
                        continue;
                }
                if (localtime_r(&created, &tm) && strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm) == 0)
                        date[0] = '\0';
                table_add(&t, json_get_string(o, "name", NULL), NULL);
                table_add(&t, date, NULL);
        }
        if (!inv->json)
                table_render(&t, &out);
        table_done(&t);
        text = buf_take_string(&out);
        fputs(text, stdout);
        return 0;
}

static const struct option_spec options[] = {OPTION_JSON_HELP, {0}};

static const struct command command_snapshot_create = {
        .name = "create",
        .parent = &command_snapshot,
        .flags = COMMAND_VM,
        .summary = "keep the disk's state under a name",
        .operands = "SNAPSHOT",
        .min_operands = 1,
        .max_operands = 1,
        .options = options,
        .run = run_create,
};

static const struct command command_snapshot_list = {
        .name = "list",
        .alias = "ls",
        .parent = &command_snapshot,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "list the states that are kept",
        .options = options,
        .description = "With --json, one object a line.",
        .run = run_list,
};

static const struct command command_snapshot_restore = {
        .name = "restore",
        .parent = &command_snapshot,
        .flags = COMMAND_VM,
        .summary = "go back to a state that was kept",
        .operands = "SNAPSHOT",
        .min_operands = 1,
        .max_operands = 1,
        .options = options,
        .description = "What was changed since then is lost, unless it is in a snapshot of its own. The snapshot stays.",
        .run = run_restore,
};

static const struct command command_snapshot_remove = {
        .name = "remove",
        .alias = "rm",
        .parent = &command_snapshot,
        .flags = COMMAND_VM,
        .summary = "forget a state",
        .operands = "SNAPSHOT",
        .min_operands = 1,
        .max_operands = 1,
        .options = options,
        .run = run_remove,
};

static const struct command *const subcommands[] = {
        &command_snapshot_create, &command_snapshot_list, &command_snapshot_restore, &command_snapshot_remove, NULL,
};

const struct command command_snapshot = {
        .name = "snapshot",
        .group = GROUP_MACHINE,
        .flags = COMMAND_VM,
        .summary = "keep and restore states of a stopped VM's disk",
        .words = "create|list|restore|remove",
        .subcommands = subcommands,
        .description =
                "Snapshots are inside of buildenv.img, which stays one file, and are made and restored within a second. They "
                "take the space of what is changed after them. The one called '" SNAPSHOT_CREATED
                "' is made by create, for 'initvm reset'.",
        .examples = "initvm snapshot create before-upgrade\n"
                    "initvm snapshot restore before-upgrade",
};

const struct command command_reset = {
        .name = "reset",
        .group = GROUP_MACHINE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "have the disk of a stopped VM as create has left it",
        .options = options,
        .description =
                "Restores the snapshot '" SNAPSHOT_CREATED "', which create makes at its end. What was changed since then is "
                "lost; other snapshots stay.",
        .run = run_reset,
};
