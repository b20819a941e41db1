/* SPDX-License-Identifier: MIT */
/* initvm binfmt: which architectures' programs the VM can execute, and by what. The agent's program looks, mends and proves. */
#include "cli/commands.h"
#include "cli/guest_helper.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <stdio.h>
#include <unistd.h>

static const char *state_style(const char *state)
{
        if (streq(state, "proven"))
                return terminal_style(STDOUT_FILENO, STYLE_GREEN);
        return streq(state, "failed") ? terminal_style(STDOUT_FILENO, STYLE_YELLOW) : NULL;
}

/* It comes out of the VM. */
static void add_cell(struct table *t, struct json_object *row, const char *key, const char *style)
{
        autobuf struct buf b = {0};
        autofree char *safe = NULL;

        text_append_safe(&b, json_get_string(row, key, ""), false);
        safe = buf_take_string(&b);
        table_add(t, safe, style);
}

static void print_table(struct json_object *rows)
{
        static const char *const headings[] = {"ARCH", "NAME", "STATE", "INTERPRETER", "FLAGS", "PROOF", NULL};
        autobuf struct buf out = {0};
        autofree char *text = NULL;
        struct table t;

        table_init(&t, headings);
        for (size_t i = 0; i < json_object_array_length(rows); i++) {
                struct json_object *row = json_object_array_get_idx(rows, i);

                add_cell(&t, row, "architecture", NULL);
                add_cell(&t, row, "name", NULL);
                add_cell(&t, row, "state", state_style(json_get_string(row, "state", "")));
                add_cell(&t, row, "interpreter", NULL);
                add_cell(&t, row, "flags", NULL);
                add_cell(&t, row, "proof", NULL);
        }
        table_render(&t, &out);
        table_done(&t);
        text = buf_take_string(&out);
        fputs(text, stdout);
}

static void print_rows(const struct invocation *inv, struct json_object *rows)
{
        if (!inv->json)
                print_table(rows);
        for (size_t i = 0; inv->json && i < json_object_array_length(rows); i++)
                printf("%s\n", json_line(json_object_array_get_idx(rows, i)));
}

/* How many do not run: where all were tested, those for which there is nothing do not count. */
static unsigned count_failed(struct json_object *rows, bool named)
{
        unsigned n = 0;

        for (size_t i = 0; i < json_object_array_length(rows); i++) {
                const char *state = json_get_string(json_object_array_get_idx(rows, i), "state", "failed");

                n += !streq(state, "proven") && (named || !streq(state, "absent"));
        }
        return n;
}

static int call(const struct invocation *inv, const char *mode, char *const *names, struct json_object **ret, struct error *err)
{
        autostrv char **arguments = NULL;

        strv_add(&arguments, "--binfmt");
        strv_add(&arguments, mode);
        strv_add(&arguments, "--");
        for (; *names; names++)
                strv_add(&arguments, *names);
        return guest_helper_call(inv->name, arguments, ret, err);
}

static int show(const struct invocation *inv, char *const *names, struct error *err)
{
        autojson struct json_object *reply = NULL;
        autobuf struct buf b = {0};
        autofree char *text = NULL;
        int status;

        if (!names[0] || names[1])
                return error_set(err, ERR_INVALID, "'show' takes one architecture, such as 'armhf' or QEMU's 'arm'");
        status = call(inv, "--show", names, &reply, err);
        if (status != 0)
                return status;
        text_append_safe(&b, json_get_string(reply, "entry", ""), true);
        text = buf_take_string(&b);
        printf("%s", inv->json ? json_line(reply) : text);
        if (inv->json)
                printf("\n");
        return 0;
}

/* mode: --list, which proves what is not proven, or --test, which proves anew. */
static int list(const struct invocation *inv, const char *mode, char *const *names, struct error *err)
{
        autojson struct json_object *reply = NULL;
        struct json_object *rows;
        unsigned failed;
        int status = call(inv, mode, names, &reply, err);

        if (status != 0)
                return status;
        rows = json_get(reply, "binfmt");
        if (!json_object_is_type(rows, json_type_array))
                return error_set(err, ERR_PROTOCOL, "the agent's answer lists nothing");
        print_rows(inv, rows);
        failed = count_failed(rows, names[0] != NULL);
        if (streq(mode, "--test") && failed > 0)
                return error_set(err, ERR_FAILED, "%u of %zu cannot be executed in VM '%s'", failed,
                                 json_object_array_length(rows), inv->name);
        return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
        static char *const none[] = {NULL};
        const char *what = inv->operands[0] ? inv->operands[0] : "list";
        char *const *names = inv->operands[0] ? inv->operands + 1 : none;

        if (streq(what, "show"))
                return show(inv, names, err);
        if (streq(what, "test"))
                return list(inv, "--test", names, err);
        if (!streq(what, "list"))
                return error_set(err, ERR_INVALID, "'%s' is none of list, show and test", what);
        if (names[0])
                return error_set(err, ERR_INVALID, "'%s' is one word too many for 'binfmt list'", names[0]);
        return list(inv, "--list", names, err);
}

static const struct option_spec options[] = {OPTION_JSON_HELP, {0}};

const struct command command_binfmt = {
        .name = "binfmt",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM,
        .summary = "list the architectures whose programs the VM can execute",
        .operands = "[list | show ARCH | test [ARCH...]]",
        .words = "list|show|test",
        .max_operands = 64,
        .options = options,
        .description =
                "Each has been proven, once in every boot of the VM, by executing a tiny program of that architecture. Without a "
                "name in the table the CPU executes it by itself. An architecture is named as Debian does (armhf) or as QEMU "
                "does "
                "(arm).\n"
                "'show' prints the kernel's entry of binfmt_misc. 'test' proves anew, and exits with 1 when one fails; it also "
                "registers the emulators of a package that was installed since.",
        .examples = "initvm binfmt\n"
                    "initvm binfmt show arm\n"
                    "initvm binfmt test armhf riscv64",
        .run = run,
};
