/* SPDX-License-Identifier: MIT */
/* initvm chroot list, show: which there are, and what one of them is. */
#include "base/json.h"
#include "cli/chroot.h"

#include "cli/chroot_call.h"
#include "cli/table.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The shortest that people read: local time. */
static char *time_text(uint64_t seconds)
{
        time_t t = (time_t)seconds;
        struct tm tm;
        char text[64];

        if (seconds == 0 || !localtime_r(&t, &tm) || strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm) == 0)
                return NULL;
        return xstrdup(text);
}

static void add_row(struct table *t, struct json_object *record)
{
        autofree char *created = time_text(json_get_u64(record, "created", 0));

        table_add(t, json_get_string(record, "name", "?"), NULL);
        table_add(t, json_get_string(record, "architecture", NULL), NULL);
        table_add(t, json_get_string(record, "suite", NULL), NULL);
        table_add(t, format_size(json_get_u64(record, "size", 0)), NULL);
        table_add(t, created, NULL);
        table_add(t, json_get_string(record, "origin", NULL), NULL);
}

static int print_table(char **lines, struct error *err)
{
        static const char *const headings[] = {"NAME", "ARCH", "SUITE", "SIZE", "CREATED", "ORIGIN", NULL};
        autobuf struct buf out = {0};
        autofree char *text = NULL;
        struct table t;
        int r = 0;

        table_init(&t, headings);
        for (char **line = lines; *line && r == 0; line++) {
                autojson struct json_object *record = json_parse(*line, strlen(*line), err);

                if (record)
                        add_row(&t, record);
                else
                        r = -1;
        }
        table_render(&t, &out);
        table_done(&t);
        text = buf_take_string(&out);
        if (r == 0)
                fputs(text, stdout);
        return r;
}

static int run_list(const struct invocation *inv, struct error *err)
{
        autostrv char **words = chroot_argv("list"), **lines = NULL;
        const struct chroot_call call = {.words = words, .input = -1, .output = -1, .quiet = true};
        int r = chroot_call(inv, &call, &lines, err);

        if (r != 0)
                return r;
        for (char **line = lines; inv->json && *line; line++)
                printf("%s\n", *line);
        if (inv->json)
                return 0;
        if (lines[0])
                return print_table(lines, err);
        fprintf(stderr, "there are no chroots in '%s' yet; 'initvm chroot create NAME' makes one\n", inv->name);
        return 0;
}

static void print_field(const char *key, const char *value)
{
        if (value)
                printf("%-13s %s\n", key, value);
}

static void print_record(struct json_object *record)
{
        autostrv char **packages = json_get(record, "packages") ? json_to_strv(json_get(record, "packages")) : NULL;
        autofree char *created = time_text(json_get_u64(record, "created", 0)),
                      *names = packages ? strv_join(packages, " ") : NULL;

        print_field("name", json_get_string(record, "name", NULL));
        print_field("architecture", json_get_string(record, "architecture", NULL));
        print_field("suite", json_get_string(record, "suite", NULL));
        print_field("variant", json_get_string(record, "variant", NULL));
        print_field("packages", names);
        print_field("mirror", json_get_string(record, "mirror", NULL));
        print_field("origin", json_get_string(record, "origin", NULL));
        print_field("created", created);
        print_field("size", format_size(json_get_u64(record, "size", 0)));
        print_field("key", json_get_string(record, "key", NULL));
        print_field("folder", json_get_string(record, "folder", NULL));
}

static int run_show(const struct invocation *inv, struct error *err)
{
        autostrv char **words = chroot_argv("show"), **lines = NULL;
        autojson struct json_object *record = NULL;
        struct chroot_call call = {.input = -1, .output = -1, .quiet = true};
        int r;

        strv_add(&words, "--");
        strv_add(&words, inv->operands[0]);
        call.words = words;
        r = chroot_call(inv, &call, &lines, err);
        if (r != 0)
                return r;
        record = chroot_record(lines, err);
        if (!record)
                return -1;
        if (inv->json)
                printf("%s\n", json_line(record));
        else
                print_record(record);
        return 0;
}

static const struct option_spec options[] = {OPTION_JSON_HELP, {0}};

const struct command command_chroot_list = {
        .name = "list",
        .alias = "ls",
        .parent = &command_chroot,
        .flags = COMMAND_VM,
        .summary = "list the chroots",
        .options = options,
        .description = "With --json, one object a line for each chroot.",
        .run = run_list,
};

const struct command command_chroot_show = {
        .name = "show",
        .parent = &command_chroot,
        .flags = COMMAND_VM,
        .summary = "show what a chroot is, and where",
        .operands = "NAME",
        .min_operands = 1,
        .max_operands = 1,
        .options = options,
        .run = run_show,
};
