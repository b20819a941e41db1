/* SPDX-License-Identifier: MIT */
/* initvm disk resize, compact, export, import. */
#include "cli/commands.h"
#include "cli/disk.h"
#include "cli/vm.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int run_resize(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *disk = NULL;
        struct json_object *parameters;
        uint64_t size;
        int r;

        if (parse_size(inv->operands[0], &size) < 0 || size < OPTION_SIZE_MIN)
                return error_set(err, ERR_INVALID, "'%s' is no size of a disk: write one as '128G'", inv->operands[0]);
        parameters = json_new();
        json_add_u64(parameters, "size", size);
        r = disk_call(inv, "org.initvm.ResizeDisk", parameters,
                      "the disk may have grown already, without its file system: the same command again completes that", &disk,
                      err);
        if (r != 0)
                return r;
        if (inv->json)
                disk_print_json(disk);
        else
                printf("the disk of '%s' has %s, its root file system %s\n", inv->name,
                       format_size(json_get_u64(disk, "virtual", 0)), format_size(json_get_u64(disk, "filesystem", 0)));
        return 0;
}

static int run_compact(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *disk = NULL;
        uint64_t before, after;
        int r = disk_call(inv, "org.initvm.CompactDisk", NULL, "nothing of the content was changed", &disk, err);

        if (r != 0)
                return r;
        before = json_get_u64(disk, "before", 0);
        after = json_get_u64(disk, "allocated", 0);
        if (inv->json)
                disk_print_json(disk);
        else
                printf("gave back %s: the disk of '%s' takes %s\n", format_size(before - MIN(before, after)), inv->name,
                       format_size(after));
        return 0;
}

/* The daemon's working folder is another one. Owned. */
static char *absolute(const char *path, struct error *err)
{
        char folder[PATH_MAX];

        if (path[0] == '/')
                return xstrdup(path);
        if (getcwd(folder, sizeof(folder)))
                return xasprintf("%s/%s", folder, path);
        error_errno(err, errno, "cannot tell the current folder");
        return NULL;
}

static int run_export(const struct invocation *inv, struct error *err)
{
        autofree char *file = absolute(inv->operands[0], err);
        autojson struct json_object *disk = NULL;
        struct json_object *parameters;
        struct stat st;
        int r;

        if (!file)
                return -1;
        if (stat(file, &st) == 0 && (!S_ISREG(st.st_mode) || !arguments_flag(&inv->arguments, "force")))
                return error_set(err, ERR_EXISTS, "'%s' is there already%s", inv->operands[0],
                                 S_ISREG(st.st_mode) ? "; --force replaces it" : ", and not a file");
        parameters = json_new();
        json_add_string(parameters, "file", file);
        r = disk_call(inv, "org.initvm.ExportDisk", parameters, "nothing was written", &disk, err);
        if (r != 0)
                return r;
        if (inv->json)
                disk_print_json(disk);
        else
                printf("exported the disk of '%s' to '%s', %s\n", inv->name, inv->operands[0],
                       format_size(json_get_u64(disk, "size", 0)));
        return 0;
}

static int run_import(const struct invocation *inv, struct error *err)
{
        autofree char *file = absolute(inv->operands[0], err);
        autojson struct json_object *disk = NULL;
        struct json_object *parameters;
        int r;

        if (!file)
                return -1;
        if (access(file, R_OK) < 0)
                return error_errno(err, errno, "cannot read the image '%s'", inv->operands[0]);
        parameters = json_new();
        json_add_string(parameters, "file", file);
        r = disk_call(inv, "org.initvm.ImportDisk", parameters, DISK_UNCHANGED, &disk, err);
        if (r != 0)
                return r;
        if (inv->json)
                disk_print_json(disk);
        else
                printf("imported '%s' as the disk of '%s', %s\n", inv->operands[0], inv->name,
                       format_size(json_get_u64(disk, "virtual", 0)));
        return 0;
}

static const struct option_spec options[] = {OPTION_JSON_HELP, {0}};

static const struct option_spec export_options[] = {
        {.name = "force", .letter = 'f', .type = OPTION_FLAG, .help = "replace the file that is there"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_disk_resize = {
        .name = "resize",
        .parent = &command_disk,
        .flags = COMMAND_VM,
        .summary = "make the disk larger, with its partition and file system",
        .operands = "SIZE",
        .min_operands = 1,
        .max_operands = 1,
        .options = options,
        .description = "A VM that runs has it at once. A disk cannot be made smaller: 'initvm disk compact' gives the host back "
                       "what is not used of it.",
        .examples = "initvm disk resize 128G",
        .run = run_resize,
};

const struct command command_disk_compact = {
        .name = "compact",
        .parent = &command_disk,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "give the host back what the file systems do not use",
        .options = options,
        .description =
                "VMs that run give back what is deleted in them at once; this is for what is left, such as what was deleted "
                "without that. What a snapshot holds stays.",
        .run = run_compact,
};

const struct command command_disk_export = {
        .name = "export",
        .parent = &command_disk,
        .flags = COMMAND_VM | COMMAND_FILES,
        .summary = "write the disk to a compressed image",
        .operands = "FILE",
        .min_operands = 1,
        .max_operands = 1,
        .options = export_options,
        .description =
                "A qcow2 image without snapshots that needs no other file, and boots by itself under any QEMU since 5.1. It "
                "appears when it is whole.",
        .examples = "initvm disk export base.qcow2",
        .run = run_export,
};

const struct command command_disk_import = {
        .name = "import",
        .parent = &command_disk,
        .flags = COMMAND_VM | COMMAND_FILES,
        .summary = "make an exported image the disk of its VM again",
        .operands = "FILE",
        .min_operands = 1,
        .max_operands = 1,
        .options = options,
        .description = "FILE is what 'initvm disk export' has written of this VM, or a changed copy of that; it is checked and "
                       "copied, with "
                       "the kernel and initrd in it. What was on the disk until then and its snapshots are gone; 'initvm reset' "
                       "goes back to "
                       "what was imported. Other images become VMs with 'initvm create --from'.",
        .examples = "initvm disk import base.qcow2",
        .run = run_import,
};
