/* SPDX-License-Identifier: MIT */
/* initvm chroot clone, rename, remove. */
#include "cli/chroot.h"
#include "cli/chroot_call.h"

#include <stdio.h>

static int call(const struct invocation *inv, const char *command, const char *cancelled, char ***ret, struct error *err)
{
        autostrv char **words = chroot_argv(command);
        struct chroot_call c = {.input = -1, .output = -1, .cancelled = cancelled};

        strv_add(&words, "--");
        for (char *const *operand = inv->operands; *operand; operand++)
                strv_add(&words, *operand);
        c.words = words;
        return chroot_call(inv, &c, ret, err);
}

static int run_clone(const struct invocation *inv, struct error *err)
{
        autostrv char **lines = NULL;
        int r = call(inv, "clone", "nothing was made", &lines, err);

        return r != 0 ? r : chroot_tell_made(inv, lines, "cloned", err);
}

static int run_rename(const struct invocation *inv, struct error *err)
{
        int r = call(inv, "rename", NULL, NULL, err);

        if (r == 0)
                printf("'%s' is '%s' now\n", inv->operands[0], inv->operands[1]);
        return r;
}

static int run_remove(const struct invocation *inv, struct error *err)
{
        int r = call(inv, "remove", NULL, NULL, err);

        for (char *const *name = inv->operands; r == 0 && *name; name++)
                printf("removed '%s'\n", *name);
        return r;
}

static const struct option_spec json_options[] = {OPTION_JSON_HELP, {0}};

const struct command command_chroot_clone = {
        .name = "clone",
        .parent = &command_chroot,
        .flags = COMMAND_VM,
        .summary = "copy a chroot, at the cost of its folders",
        .operands = "NAME NEW-NAME",
        .min_operands = 2,
        .max_operands = 2,
        .options = json_options,
        .description = "Files are shared with the original, which is safe because neither of them is ever changed in place.",
        .run = run_clone,
};

const struct command command_chroot_rename = {
        .name = "rename",
        .parent = &command_chroot,
        .flags = COMMAND_VM,
        .summary = "give a chroot another name",
        .operands = "NAME NEW-NAME",
        .min_operands = 2,
        .max_operands = 2,
        .description = "Nobody may be using it.",
        .run = run_rename,
};

const struct command command_chroot_remove = {
        .name = "remove",
        .alias = "rm",
        .parent = &command_chroot,
        .flags = COMMAND_VM,
        .summary = "remove chroots",
        .operands = "NAME...",
        .min_operands = 1,
        .max_operands = 65536,
        .description = "Nobody may be using them. They are removed one after the other, up to the first one that cannot be.",
        .run = run_remove,
};
