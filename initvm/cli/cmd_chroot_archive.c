/* SPDX-License-Identifier: MIT */
/* initvm chroot export, import. */
#include "cli/chroot.h"
#include "cli/chroot_archive.h"

#include <stdio.h>
#include <unistd.h>

static int run_export(const struct invocation *inv, struct error *err)
{
        const char *to = inv->operands[1];
        int r;

        if (streq(to, "-") && isatty(STDOUT_FILENO))
                return error_set(err, ERR_INVALID, "an archive does no good on a terminal: redirect it, or name a file");
        r = chroot_export_to(inv, to, err);
        if (r == 0 && !streq(to, "-"))
                printf("exported '%s' to '%s'\n", inv->operands[0], to);
        return r;
}

static int run_import(const struct invocation *inv, struct error *err)
{
        return chroot_import_from(inv, inv->operands[1], "imported", err);
}

static const struct option_spec import_options[] = {
        {.name = "arch",
         .letter = 'a',
         .type = OPTION_STRING,
         .argument = "ARCH",
         .help = "its architecture, when dpkg in it does not know"},
        {.name = "suite",
         .letter = 's',
         .type = OPTION_STRING,
         .argument = "SUITE",
         .help = "its suite, when its os-release does not say"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_chroot_export = {
        .name = "export",
        .parent = &command_chroot,
        .flags = COMMAND_VM | COMMAND_FILES,
        .summary = "write a chroot to an archive on the host",
        .operands = "NAME FILE",
        .min_operands = 2,
        .max_operands = 2,
        .description = "A tar archive with owners, hard links and capabilities, compressed as the name says: .tar.zst, .tar.xz, "
                       ".tar.gz, or "
                       ".tar. The file appears when it is whole. '-' is standard output.",
        .examples = "initvm chroot export box box.tar.zst\n"
                    "initvm chroot export box - | tar -t",
        .run = run_export,
};

const struct command command_chroot_import = {
        .name = "import",
        .parent = &command_chroot,
        .flags = COMMAND_VM | COMMAND_FILES,
        .summary = "make a chroot from an archive or a folder of the host",
        .operands = "NAME ARCHIVE|FOLDER",
        .min_operands = 2,
        .max_operands = 2,
        .options = import_options,
        .description = "A tar archive of a root filesystem, compressed or not; '-' is standard input. It is not trusted: nothing "
                       "outside of the "
                       "new chroot is touched, whatever it holds. Devices in its /dev are left out; an archive with others is "
                       "refused, as are absolute names, '..' and paths through links. A folder is taken with the "
                       "owners that it "
                       "has here, so that it must have been made by root.",
        .examples = "initvm chroot import box box.tar.zst\n"
                    "initvm -n new chroot import box ./rootfs",
        .run = run_import,
};
