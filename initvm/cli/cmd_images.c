/* SPDX-License-Identifier: MIT */
/* initvm images: what can be installed. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/table.h"
#include "cli/terminal.h"

#include <stdio.h>
#include <unistd.h>

static void print_warnings(struct json_object *warnings)
{
        if (!json_object_is_type(warnings, json_type_array))
                return;
        for (size_t i = 0; i < json_object_array_length(warnings); i++)
                fprintf(stderr, "initvm: %swarning:%s %s\n", terminal_style(STDERR_FILENO, STYLE_YELLOW),
                        terminal_style(STDERR_FILENO, STYLE_RESET),
                        json_object_get_string(json_object_array_get_idx(warnings, i)));
}

static void print_table(struct json_object *images)
{
        static const char *const headings[] = {"NAME", "SUITE", "ARCH", "DEFAULT", "DESCRIPTION", NULL};
        autobuf struct buf out = {0};
        autofree char *text = NULL;
        struct table t;

        table_init(&t, headings);
        for (size_t i = 0; i < json_object_array_length(images); i++) {
                struct json_object *image = json_object_array_get_idx(images, i);
                bool usual = json_get_bool(image, "default", false);

                table_add(&t, json_get_string(image, "name", "?"), usual ? terminal_style(STDOUT_FILENO, STYLE_BOLD) : NULL);
                table_add(&t, json_get_string(image, "suite", "?"), NULL);
                table_add(&t, json_get_string(image, "architecture", "?"), NULL);
                table_add(&t, usual ? "default" : "", NULL);
                table_add(&t, json_get_string(image, "description", ""), NULL);
        }
        table_render(&t, &out);
        table_done(&t);
        text = buf_take_string(&out);
        fputs(text, stdout);
}

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *reply = NULL;
        struct json_object *images;

        if (daemon_call("org.initvm.ListImages", NULL, &reply, err) < 0)
                return -1;
        images = json_get(reply, "images");
        if (!json_object_is_type(images, json_type_array))
                return error_set(err, ERR_PROTOCOL, "the daemon's answer lists no images");
        print_warnings(json_get(reply, "warnings"));
        if (!inv->json) {
                print_table(images);
                return 0;
        }
        for (size_t i = 0; i < json_object_array_length(images); i++)
                printf("%s\n", json_line(json_object_array_get_idx(images, i)));
        return 0;
}

static const struct option_spec options[] = {OPTION_JSON_HELP, {0}};

const struct command command_images = {
        .name = "images",
        .group = GROUP_MACHINE,
        .summary = "list what can be installed",
        .options = options,
        .description = "The shipped image files, and those of your own below the configuration folder, which come first. With "
                       "--json, one "
                       "object a line.",
        .run = run,
};
