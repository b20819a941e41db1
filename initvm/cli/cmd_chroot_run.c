/* SPDX-License-Identifier: MIT */
/*
 * initvm chroot run, shell: a command or a login shell in a chroot, as if it ran here.  The agent's helper in the VM is the
 * command that this runs as exec does; what is asked about saving is asked by it, on the same terminal.
 */
#include "cli/chroot.h"
#include "cli/chroot_call.h"
#include "cli/remote_command.h"

#include <unistd.h>

static void add_option(char ***argv, const struct invocation *inv, const char *option)
{
        const char *text = arguments_text(&inv->arguments, option, NULL);

        if (text)
                strv_addf(argv, "--%s=%s", option, text);
}

/* Says at most one of --save, --save-as and --discard. */
static int add_saving(char ***argv, const struct invocation *inv, bool ask, struct error *err)
{
        const struct arguments *a = &inv->arguments;
        const char *as = arguments_text(a, "save-as", NULL);
        bool save = arguments_flag(a, "save"), discard = arguments_flag(a, "discard");

        if ((as != NULL) + save + discard > 1)
                return error_set(err, ERR_INVALID, "--save, --save-as and --discard exclude one another");
        if (as || save)
                strv_addf(argv, "--save-as=%s", as ? as : "");
        else if (ask && !discard)
                strv_add(argv, "--ask");
        return 0;
}

static int run_in_chroot(const struct invocation *inv, const char *command, bool terminal, bool ask, struct error *err)
{
        autostrv char **argv = chroot_argv(command), **environment = NULL, **binds = arguments_list(&inv->arguments, "bind");
        struct remote_command remote = {.terminal = terminal, .wrapped = true};

        add_option(&argv, inv, "user");
        add_option(&argv, inv, "cwd");
        if (remote_command_environment(&inv->arguments, &environment, err) < 0 || add_saving(&argv, inv, ask, err) < 0)
                return -1;
        for (char **e = environment; e && *e; e++)
                strv_addf(&argv, "--env=%s", *e);
        for (char **b = binds; b && *b; b++)
                strv_addf(&argv, "--bind=%s", *b);
        if (!arguments_switch(&inv->arguments, "accelerate", true))
                strv_add(&argv, "--no-native");
        if (terminal)
                strv_add(&argv, "--terminal");
        strv_add(&argv, "--");
        strv_add(&argv, inv->operands[0]);
        for (char *const *word = inv->behind; *word; word++)
                strv_add(&argv, *word);
        remote.argv = argv;
        return remote_command_run(inv, &remote, err);
}

static int run_run(const struct invocation *inv, struct error *err)
{
        if (!inv->behind[0])
                return error_set(err, ERR_INVALID,
                                 "something is missing behind 'chroot run %s': -- COMMAND [ARGUMENT...]; 'initvm chroot shell "
                                 "%s' is a shell",
                                 inv->operands[0], inv->operands[0]);
        return run_in_chroot(inv, "run", arguments_flag(&inv->arguments, "tty"), false, err);
}

/* Who has no terminal cannot be asked: then nothing is saved unless it is said. */
static int run_shell(const struct invocation *inv, struct error *err)
{
        bool terminal = isatty(STDIN_FILENO);

        return run_in_chroot(inv, "shell", terminal, terminal, err);
}

#define IN_CHROOT_OPTIONS                                                                                                        \
        {.name = "user",                                                                                                         \
         .letter = 'u',                                                                                                          \
         .type = OPTION_STRING,                                                                                                  \
         .argument = "USER",                                                                                                     \
         .help = "run it as this user of the chroot (default: root)"},                                                           \
                {.name = "cwd",                                                                                                  \
                 .letter = 'C',                                                                                                  \
                 .type = OPTION_STRING,                                                                                          \
                 .argument = "FOLDER",                                                                                           \
                 .help = "run it in this folder of the chroot (default: the user's home)"},                                      \
                {.name = "env",                                                                                                  \
                 .letter = 'e',                                                                                                  \
                 .type = OPTION_LIST,                                                                                            \
                 .argument = "NAME=VALUE",                                                                                       \
                 .help = "set a variable; NAME alone passes on yours; may be repeated"},                                         \
                {.name = "bind",                                                                                                 \
                 .letter = 'b',                                                                                                  \
                 .type = OPTION_LIST,                                                                                            \
                 .argument = "PATH[:PLACE]",                                                                                     \
                 .help = "show a file or folder of the VM in the chroot; may be repeated"},                                      \
                ACCELERATE_OPTION,                                                                                               \
                {.name = "save-as", .type = OPTION_STRING, .argument = "NEW", .help = "save what was changed as a new chroot"},  \
                {.name = "save", .type = OPTION_FLAG, .help = "save what was changed under the chroot's own name"},              \
        {                                                                                                                        \
                .name = "discard", .type = OPTION_FLAG, .help = "save nothing, and do not ask"                                   \
        }

static const struct option_spec run_options[] = {
        IN_CHROOT_OPTIONS,
        {.name = "tty", .letter = 't', .type = OPTION_FLAG, .help = "give it a terminal, for programs that want one"},
        {0},
};

static const struct option_spec shell_options[] = {IN_CHROOT_OPTIONS, {0}};

const struct command command_chroot_run = {
        .name = "run",
        .parent = &command_chroot,
        .flags = COMMAND_VM | COMMAND_BEHIND | COMMAND_EXEC_STATUS,
        .summary = "run a command in a chroot",
        .operands = "NAME -- COMMAND [ARGUMENT...]",
        .min_operands = 1,
        .max_operands = 1,
        .options = run_options,
        .description =
                "Standard input, output and error, signals and exit statuses are as with 'initvm exec'. What the command changes "
                "is "
                "discarded, unless --save-as or --save is given and the command succeeds. --save needs that nobody else uses the "
                "chroot.",
        .examples = "initvm chroot run box -- uname -m\n"
                    "initvm chroot run box -b /srv/hello:/src -C /src -- dpkg-buildpackage -b\n"
                    "initvm chroot run box --save-as box-gcc -- apt-get install -y gcc",
        .run = run_run,
};

const struct command command_chroot_shell = {
        .name = "shell",
        .parent = &command_chroot,
        .flags = COMMAND_VM | COMMAND_BEHIND | COMMAND_EXEC_STATUS,
        .summary = "use a shell in a chroot, and save what it changed",
        .operands = "NAME [-- COMMAND [ARGUMENT...]]",
        .min_operands = 1,
        .max_operands = 1,
        .options = shell_options,
        .description = "At its end you are asked under which name to save what was changed: Enter overwrites the chroot, another "
                       "name makes a "
                       "new one, Ctrl-C discards. --save, --save-as and --discard answer beforehand, whatever the shell's exit "
                       "status is. "
                       "Without a terminal nobody is asked, and nothing saved.",
        .examples = "initvm chroot shell box\n"
                    "initvm chroot shell box --save-as box2 <setup.sh",
        .run = run_shell,
};
