/* SPDX-License-Identifier: MIT */
/* initvm disk info, check. */
#include "cli/commands.h"
#include "cli/disk.h"
#include "cli/table.h"
#include "cli/text.h"

#include <stdio.h>

static void add_size(struct table *t, struct json_object *o, const char *key)
{
        table_add(t, json_get(o, key) ? format_size(json_get_u64(o, key, 0)) : "", NULL);
}

static void print_table(struct table *t)
{
        autobuf struct buf out = {0};
        autofree char *text = NULL;

        table_render(t, &out);
        table_done(t);
        text = buf_take_string(&out);
        fputs(text, stdout);
}

static void print_filesystems(struct json_object *disk)
{
        static const char *const headings[] = {"DEVICE", "TYPE", "MOUNTED ON", "PARTITION", "SIZE", "USED", NULL};
        struct json_object *list = json_get(disk, "filesystems");
        struct table t;

        table_init(&t, headings);
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                struct json_object *o = json_object_array_get_idx(list, i);

                table_add(&t, json_get_string(o, "device", NULL), NULL);
                table_add(&t, json_get_string(o, "type", NULL), NULL);
                table_add(&t, json_get_string(o, "mountPoint", NULL), NULL);
                add_size(&t, o, "partition");
                add_size(&t, o, "size");
                add_size(&t, o, "used");
        }
        print_table(&t);
}

static int run_info(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *disk = NULL;
        struct json_object *system, *snapshots;
        autofree char *size = NULL, *packages = NULL;
        autobuf struct buf names = {0};
        int r = disk_call(inv, "org.initvm.DiskInfo", NULL, DISK_UNCHANGED, &disk, err);

        if (r != 0)
                return r;
        if (inv->json) {
                disk_print_json(disk);
                return 0;
        }
        system = json_get(disk, "system");
        snapshots = json_get(disk, "snapshots");
        size = xasprintf("%s, %s used on the host", format_size(json_get_u64(disk, "virtual", 0)),
                         format_size(json_get_u64(disk, "allocated", 0)));
        packages = xasprintf("%llu", (unsigned long long)json_get_u64(system, "packages", 0));
        for (size_t i = 0; snapshots && i < json_object_array_length(snapshots); i++)
                buf_printf(&names, "%s%s", i ? ", " : "", json_get_string(json_object_array_get_idx(snapshots, i), "name", "?"));
        autofree char *joined = buf_take_string(&names);
        table_print_pair("system", json_get_string(system, "product", NULL));
        table_print_pair("architecture", json_get_string(system, "architecture", NULL));
        table_print_pair("hostname", json_get_string(system, "hostname", NULL));
        table_print_pair("packages", packages);
        table_print_pair("size", size);
        table_print_pair("snapshots", joined);
        table_print_pair("needs", json_get_string(disk, "backing", NULL));
        print_filesystems(disk);
        return 0;
}

/* ---- check */

/* How many things are wrong; leaked clusters only take space. */
static unsigned count_errors(struct json_object *disk)
{
        struct json_object *image = json_get(disk, "image"), *list = json_get(disk, "filesystems");
        unsigned n = json_get_u64(image, "corruptions", 0) + json_get_u64(image, "errors", 0) > 0;

        for (size_t i = 0; list && i < json_object_array_length(list); i++)
                n += streq(json_get_string(json_object_array_get_idx(list, i), "state", ""), "errors");
        return n;
}

static void print_check(struct json_object *disk)
{
        struct json_object *image = json_get(disk, "image"), *list = json_get(disk, "filesystems");
        uint64_t wrong = json_get_u64(image, "corruptions", 0) + json_get_u64(image, "errors", 0);
        uint64_t leaks = json_get_u64(image, "leaks", 0);
        autofree char *text = wrong   ? xasprintf("%llu errors", (unsigned long long)wrong)
                              : leaks ? xasprintf("clean, but %llu clusters are lost", (unsigned long long)leaks)
                                      : xstrdup("clean");

        table_print_pair("image", text);
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                struct json_object *o = json_object_array_get_idx(list, i);
                autofree char *state = xasprintf("%s (%s)", json_get_string(o, "state", "?"), json_get_string(o, "type", "?"));

                table_print_pair(json_get_string(o, "device", "?"), state);
        }
}

static int run_check(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *disk = NULL;
        struct json_object *parameters = json_new();
        bool repair = arguments_flag(&inv->arguments, "repair");
        int r;

        json_add_bool(parameters, "repair", repair);
        r = disk_call(inv, "org.initvm.CheckDisk", parameters, DISK_UNCHANGED, &disk, err);
        if (r != 0)
                return r;
        if (inv->json)
                disk_print_json(disk);
        else
                print_check(disk);
        if (count_errors(disk) == 0)
                return 0;
        return error_set(err, ERR_FAILED,
                         repair ? "not everything could be repaired"
                                : "the disk has errors: 'initvm disk check --repair' mends what it can");
}

static const struct option_spec info_options[] = {OPTION_JSON_HELP, {0}};

static const struct option_spec check_options[] = {
        {.name = "repair", .type = OPTION_FLAG, .help = "mend what is wrong, on a copy that replaces the disk at the end"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_disk_info = {
        .name = "info",
        .parent = &command_disk,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "show what is on the disk, and what it takes",
        .options = info_options,
        .run = run_info,
};

const struct command command_disk_check = {
        .name = "check",
        .parent = &command_disk,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "check the image and its file systems",
        .options = check_options,
        .description =
                "Exits with 1 when there are errors. A file system that is only waiting for its journal, because the VM was "
                "killed, is clean. Lost clusters are no errors: they take space, and --repair gives it back.",
        .run = run_check,
};
