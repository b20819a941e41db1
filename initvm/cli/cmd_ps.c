/* SPDX-License-Identifier: MIT */
/* initvm ps: the processes of the VM, by chroot. */
#include "base/json.h"
#include "cli/chroot_call.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* On a terminal a row is a line: the rest of a command is cut. */
#define COMMAND_COLUMN_MIN 20

static int compare(const void *a, const void *b)
{
        struct json_object *const *left = a, *const *right = b;
        uint64_t l = json_get_u64(*left, "pid", 0), r = json_get_u64(*right, "pid", 0);
        int chroots = strcmp(json_get_string(*left, "chroot", ""), json_get_string(*right, "chroot", ""));

        return chroots ? chroots : (l > r) - (l < r);
}

static void add_row(struct table *t, struct json_object *process, size_t width)
{
        autobuf struct buf b = {0}, safe = {0};
        autofree char *command = NULL, *clean = NULL;
        const char *user = json_get_string(process, "user", NULL);

        table_add(t, json_get_string(process, "chroot", NULL), NULL);
        table_addf(t, "%" PRIu64, json_get_u64(process, "pid", 0));
        if (user)
                table_add(t, user, NULL);
        else
                table_addf(t, "%" PRIu64, json_get_u64(process, "uid", 0));
        text_append_safe(&safe, json_get_string(process, "command", "?"), false);
        clean = buf_take_string(&safe);
        text_append_cut(&b, clean, width);
        command = buf_take_string(&b);
        table_add(t, command, NULL);
}

static void print_table(struct json_object **processes, size_t n)
{
        static const char *const headings[] = {"CHROOT", "PID", "USER", "COMMAND", NULL};
        size_t columns = terminal_width(STDOUT_FILENO);
        autobuf struct buf out = {0};
        autofree char *text = NULL;
        size_t width = SIZE_MAX;
        struct table t;

        if (isatty(STDOUT_FILENO)) /* what is left beside the other columns, as wide as they usually are */
                width = MAX(columns, (size_t)2 * COMMAND_COLUMN_MIN + COMMAND_COLUMN_MIN) - 2 * COMMAND_COLUMN_MIN;
        table_init(&t, headings);
        for (size_t i = 0; i < n; i++)
                add_row(&t, processes[i], width);
        table_render(&t, &out);
        table_done(&t);
        text = buf_take_string(&out);
        fputs(text, stdout);
}

static int run(const struct invocation *inv, struct error *err)
{
        autostrv char **words = chroot_argv("ps"), **lines = NULL;
        const struct chroot_call call = {.words = words, .input = -1, .output = -1, .quiet = true};
        autofree struct json_object **processes = NULL;
        int r = chroot_call(inv, &call, &lines, err);
        size_t n = 0;

        if (r != 0)
                return r;
        processes = xcalloc(strv_length(lines) + 1, sizeof(struct json_object *));
        for (char **line = lines; *line && r == 0; line++) {
                processes[n] = json_parse(*line, strlen(*line), err);
                if (processes[n])
                        n++;
                else
                        r = -1;
        }
        qsort(processes, n, sizeof(struct json_object *), compare);
        for (size_t i = 0; r == 0 && inv->json && i < n; i++)
                printf("%s\n", json_line(processes[i]));
        if (r == 0 && !inv->json)
                print_table(processes, n);
        for (size_t i = 0; i < n; i++)
                json_object_put(processes[i]);
        return r;
}

static const struct option_spec options[] = {OPTION_JSON_HELP, {0}};

const struct command command_ps = {
        .name = "ps",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "list the processes of the VM, by chroot",
        .options = options,
        .description = "First those of the VM itself, then those of each chroot. Users of a chroot are shown by number: they are "
                       "its own.\n"
                       "With --json, one object a line for each process.",
        .run = run,
};
