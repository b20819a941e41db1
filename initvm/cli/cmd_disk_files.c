/* SPDX-License-Identifier: MIT */
/*
 * initvm disk ls, cat, cp.  Content comes and goes as a tar stream through a pipe, as with 'initvm cp', whose helper is at our
 * end; the other end is opened by initvm-image, by its path in our /proc/PID/fd.
 */
#include "archive/report.h"
#include "cli/commands.h"
#include "cli/copy_helper.h"
#include "cli/copy_operands.h"
#include "cli/disk.h"
#include "cli/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- ls */

static void mode_text(struct json_object *o, char ret[11])
{
        static const char letters[] = "rwxrwxrwx";
        uint64_t mode = json_get_u64(o, "mode", 0);
        const char *type = json_get_string(o, "type", "");

        ret[0] = streq(type, "folder") ? 'd' : streq(type, "link") ? 'l' : streq(type, "file") ? '-' : '?';
        for (unsigned i = 0; i < 9; i++)
                ret[i + 1] = mode & (0400u >> i) ? letters[i] : '-';
        ret[10] = '\0';
}

static void print_entry(struct json_object *o)
{
        time_t modified = (time_t)json_get_u64(o, "modified", 0);
        const char *target = json_get_string(o, "target", NULL);
        autofree char *safe = NULL;
        autobuf struct buf b = {0};
        char mode[11], date[32] = "";
        struct tm tm;

        mode_text(o, mode);
        if (localtime_r(&modified, &tm) && strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm) == 0)
                date[0] = '\0';
        text_append_safe(&b, json_get_string(o, "name", "?"), false);
        if (target) {
                buf_printf(&b, " -> ");
                text_append_safe(&b, target, false);
        }
        safe = buf_take_string(&b);
        printf("%s %5llu %5llu %12llu %s %s\n", mode, (unsigned long long)json_get_u64(o, "uid", 0),
               (unsigned long long)json_get_u64(o, "gid", 0), (unsigned long long)json_get_u64(o, "size", 0), date, safe);
}

static int run_ls(const struct invocation *inv, struct error *err)
{
        static char root[] = "/";
        static char *const only_root[] = {root, NULL};
        char *const *paths = inv->operands[0] ? inv->operands : only_root;
        autojson struct json_object *disk = NULL;
        struct json_object *parameters = json_new(), *entries;
        int r;

        json_add(parameters, "paths", json_from_strv(paths));
        r = disk_call(inv, "org.initvm.ListDiskFiles", parameters, DISK_UNCHANGED, &disk, err);
        if (r != 0)
                return r;
        if (inv->json) {
                disk_print_json(disk);
                return 0;
        }
        entries = json_get(disk, "entries");
        for (size_t i = 0; entries && i < json_object_array_length(entries); i++)
                print_entry(json_object_array_get_idx(entries, i));
        return 0;
}

/* ---- cat, cp */

static void on_warning(void *userdata, const char *text)
{
        (void)userdata;
        fprintf(stderr, "initvm: warning: %s\n", text);
}

/* Ends the helper, and has what it said. */
static int end_helper(struct copy_helper *h, bool failed, bool packs, struct report_reader *reports)
{
        char data[4096];
        int status = 0;
        ssize_t n;

        close(h->data);
        if (failed && packs)
                kill(h->pid, SIGTERM);
        while ((n = read(h->reports, data, sizeof(data))) > 0 || (n < 0 && errno == EINTR))
                if (n > 0)
                        report_read(reports, data, (size_t)n);
        while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
                ;
        close(h->reports);
        return status;
}

static int tell_left_out(struct json_object *disk)
{
        struct json_object *list = json_get(disk, "leftOut");
        size_t n = list ? json_object_array_length(list) : 0;

        for (size_t i = 0; i < n; i++) {
                autobuf struct buf b = {0};
                autofree char *safe = NULL;

                text_append_safe(&b, json_object_get_string(json_object_array_get_idx(list, i)), false);
                safe = buf_take_string(&b);
                fprintf(stderr, "initvm: warning: left out '%s': it is no file, folder or link\n", safe);
        }
        return n > 0;
}

/* Of two errors that of the side which did not just see the other one go is the reason. */
static int run_copy(const struct invocation *inv, struct copy *copy, struct error *err)
{
        bool put = copy->to.vm;
        struct invocation where = *inv;
        struct report_reader reports = {.warning = on_warning};
        autojson struct json_object *disk = NULL;
        struct json_object *parameters;
        autofree char *stream = NULL;
        struct copy_helper helper;
        int r, status;

        copy->quiet = true;
        if (copy_helper_start(copy, copy_host_side, put, &helper, err) < 0)
                return -1;
        stream = xasprintf("/proc/%d/fd/%d", (int)getpid(), helper.data);
        where.name = put ? copy->to.vm : copy->from.vm;
        parameters = json_new();
        json_add(parameters, "paths", json_from_strv(put ? copy->to.paths : copy->from.paths));
        json_add_string(parameters, "stream", stream);
        r = disk_call(&where, put ? "org.initvm.WriteDiskFiles" : "org.initvm.ReadDiskFiles", parameters,
                      put ? "what was copied until then is there" : DISK_UNCHANGED, &disk, err);
        status = end_helper(&helper, r != 0, put, &reports);
        if (r == 0 && (reports.error.code != ERR_NONE || status != 0)) {
                *err = reports.error;
                r = reports.error.code != ERR_NONE
                            ? -1
                            : error_set(err, ERR_FAILED, "the process that copies here ended unexpectedly");
        } else if (r < 0 && reports.error.code != ERR_NONE && reports.error.code != ERR_DISCONNECTED) {
                *err = reports.error;
        }
        report_reader_done(&reports);
        return r == 0 ? tell_left_out(disk) : r;
}

static int run_cat(const struct invocation *inv, struct error *err)
{
        struct copy copy = {.from = {.vm = inv->name, .paths = inv->operands}, .to = {.stream = true}};

        return run_copy(inv, &copy, err);
}

static int run_cp(const struct invocation *inv, struct error *err)
{
        struct copy_operands o;
        int r = copy_operands_parse(inv, &o, err);

        if (r == 0 && o.copy.from.vm && o.copy.to.vm)
                r = error_set(err, ERR_INVALID, "one side must be on the host");
        if (r == 0 && o.copy.from.stream)
                r = error_set(err, ERR_INVALID, "standard input cannot be copied to a disk: name a file");
        if (r == 0)
                r = run_copy(inv, &o.copy, err);
        copy_operands_done(&o);
        return r;
}

static const struct option_spec options[] = {OPTION_JSON_HELP, {0}};

const struct command command_disk_ls = {
        .name = "ls",
        .parent = &command_disk,
        .flags = COMMAND_VM,
        .summary = "list files on the disk",
        .operands = "[PATH...]",
        .max_operands = 65536,
        .options = options,
        .description = "Of a folder that is named, those in it.",
        .examples = "initvm disk ls /var/log",
        .run = run_ls,
};

const struct command command_disk_cat = {
        .name = "cat",
        .parent = &command_disk,
        .flags = COMMAND_VM,
        .summary = "write files of the disk to standard output",
        .operands = "PATH...",
        .min_operands = 1,
        .max_operands = 65536,
        .description = "Files only: 'initvm disk cp' copies folders.",
        .examples = "initvm disk cat /etc/fstab",
        .run = run_cat,
};

const struct command command_disk_cp = {
        .name = "cp",
        .parent = &command_disk,
        .flags = COMMAND_VM | COMMAND_FILES,
        .summary = "copy files and folders into or out of the disk",
        .operands = "SOURCE... DESTINATION",
        .min_operands = 2,
        .max_operands = 65536,
        .description =
                "As 'initvm cp', of a VM that does not run: a path on the disk is written NAME:PATH, or :PATH for the VM of "
                "-n, and begins at its root. A file appears under its name when it is whole. What is copied into it belongs to "
                "root there.",
        .examples = "initvm disk cp :/var/log/journal ./journal\n"
                    "initvm disk cp ./sources.list :/etc/apt/sources.list",
        .run = run_cp,
};
