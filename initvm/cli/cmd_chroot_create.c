/* SPDX-License-Identifier: MIT */
/* initvm chroot create: a new Debian chroot by mmdebstrap in the VM, or from an archive or a folder. */
#include "cli/chroot.h"
#include "cli/chroot_archive.h"
#include "cli/chroot_call.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void add_option(char ***words, const struct invocation *inv, const char *option, const char *as)
{
        const char *text = arguments_text(&inv->arguments, option, NULL);

        if (text)
                strv_addf(words, "--%s=%s", as, text);
}

/* Packages: a list of lists that commas or blanks separate. */
static void add_packages(char ***words, const struct invocation *inv)
{
        autostrv char **lists = arguments_list(&inv->arguments, "include");

        for (char **list = lists; list && *list; list++) {
                autostrv char **names = strv_split(*list, ", ");

                for (char **name = names; *name; name++)
                        strv_addf(words, "--package=%s", *name);
        }
}

static int check_from(const struct invocation *inv, struct error *err)
{
        static const char *const others[] = {"variant", "include", "mirror", "keyring"};

        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (arguments_flag(&inv->arguments, others[i]))
                        return error_set(err, ERR_INVALID, "--%s says how a chroot is made, and --from that it is made already",
                                         others[i]);
        return 0;
}

static int run_mmdebstrap(const struct invocation *inv, struct error *err)
{
        const char *keyring = arguments_text(&inv->arguments, "keyring", NULL);
        autostrv char **words = chroot_argv("create"), **mirrors = arguments_list(&inv->arguments, "mirror"), **lines = NULL;
        struct chroot_call call = {.output = -1, .cancelled = "nothing was left behind"};
        autoclose int key = -1;
        int r;

        if (keyring && (key = open(keyring, O_RDONLY | O_CLOEXEC)) < 0)
                return error_errno(err, errno, "cannot read the keyring '%s'", keyring);
        add_option(&words, inv, "arch", "architecture");
        add_option(&words, inv, "suite", "suite");
        add_option(&words, inv, "variant", "variant");
        add_packages(&words, inv);
        for (char **m = mirrors; m && *m; m++)
                strv_addf(&words, "--mirror=%s", *m);
        if (keyring)
                strv_add(&words, "--keyring");
        strv_add(&words, "--");
        strv_add(&words, inv->operands[0]);
        call.words = words;
        call.input = key;
        r = chroot_call(inv, &call, &lines, err);
        return r != 0 ? r : chroot_tell_made(inv, lines, "created", err);
}

static int run(const struct invocation *inv, struct error *err)
{
        const char *from = arguments_text(&inv->arguments, "from", NULL);

        if (!from)
                return run_mmdebstrap(inv, err);
        return check_from(inv, err) < 0 ? -1 : chroot_import_from(inv, from, "created", err);
}

static const struct option_spec options[] = {
        {.name = "arch",
         .letter = 'a',
         .type = OPTION_STRING,
         .argument = "ARCH",
         .help = "Debian's name of the architecture (default: the VM's)"},
        {.name = "suite", .letter = 's', .type = OPTION_STRING, .argument = "SUITE", .help = "Debian suite (default: the VM's)"},
        {.name = "variant",
         .type = OPTION_CHOICE,
         .argument = "buildd|minbase|apt|essential|important|standard|extract",
         .help = "which packages it begins with, as mmdebstrap(1) names them (default: buildd)"},
        {.name = "include",
         .letter = 'i',
         .type = OPTION_LIST,
         .argument = "PACKAGES",
         .help = "more packages, separated by commas; may be repeated"},
        {.name = "mirror",
         .letter = 'm',
         .type = OPTION_LIST,
         .argument = "URL",
         .help = "Debian mirror, or a line 'deb ...' (default: what the VM uses); may be repeated"},
        {.name = "keyring",
         .letter = 'k',
         .type = OPTION_FILE,
         .argument = "FILE",
         .help = "keys that sign the mirror (default: the VM's)"},
        {.name = "from",
         .letter = 'f',
         .type = OPTION_FILE,
         .argument = "ARCHIVE|FOLDER",
         .help = "take this root filesystem of the host instead of making one"},
        OPTION_JSON_HELP,
        {0},
};

const struct command command_chroot_create = {
        .name = "create",
        .parent = &command_chroot,
        .flags = COMMAND_VM,
        .summary = "make a Debian chroot",
        .operands = "NAME",
        .min_operands = 1,
        .max_operands = 1,
        .options = options,
        .description = "mmdebstrap makes it in the VM, which also emulates what is of another architecture. Without --mirror "
                       "packages come "
                       "from the VM's own sources for its own suite, and from the VM's mirror for others. Ctrl-C cancels and "
                       "leaves nothing "
                       "behind.\n"
                       "With --json each line is a progress event, the last one {\"chroot\": ...}.",
        .examples = "initvm chroot create box --arch armhf\n"
                    "initvm chroot create sid --suite sid --include devscripts,git\n"
                    "initvm chroot create old --from ./rootfs.tar.xz",
        .run = run,
};
