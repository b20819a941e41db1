/* SPDX-License-Identifier: MIT */
/*
 * initvm exec: a command in the VM as if it ran here: its input, output, error, signals and exit status.  What goes wrong with
 * initvm or the machine itself has the statuses 124 to 127 (base/error.h), so that it is never taken for the command's failure.
 */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/session.h"
#include "cli/vm.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* The command's own are 0 to 255; a signal is told as the shells do. */
#define STATUS_MASK   0xff
#define STATUS_SIGNAL 128

/* Those that a terminal or a supervisor sends to end a command: the command decides. */
static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void on_message(void *userdata, struct json_object *message)
{
        struct session *s = userdata;
        struct json_object *parameters = NULL;
        struct error err = ERROR_INIT;
        bool continues = false;

        if (varlink_read_reply(message, &parameters, &continues, &err) < 0)
                session_fail(s, err.code, "%s", err.message);
        else if (continues)
                return;
        else if (json_get(parameters, "exited"))
                session_end(s, (int)(json_get_u64(parameters, "exited", 0) & STATUS_MASK));
        else if (json_get(parameters, "signaled"))
                session_end(s, STATUS_SIGNAL + (int)(json_get_u64(parameters, "signaled", 0) & (STATUS_SIGNAL - 1)));
        else
                session_fail(s, ERR_PROTOCOL, "the agent did not tell how the command ended");
}

static void on_closed(void *userdata)
{
        session_fail(userdata, ERR_DISCONNECTED,
                     "the connection was lost before the command ended, so its exit status is not known; 'initvm status' tells "
                     "whether the VM still runs, 'initvm daemon log' more");
}

static void on_signal(void *userdata, int signo)
{
        struct json_object *message = json_new();

        json_add_u64(message, "signal", (uint64_t)signo);
        session_send(userdata, message);
}

static const struct session_events events = {.message = on_message, .closed = on_closed, .signal = on_signal};

/* "K=V" as it is; "K" alone takes our value, and is left out when we have none. */
static int add_environment(struct json_object *o, const struct arguments *a, struct error *err)
{
        autostrv char **given = arguments_list(a, "env"), **v = NULL;

        for (size_t i = 0; given && given[i]; i++) {
                const char *ours = getenv(given[i]);

                if (given[i][0] == '=')
                        return error_set(err, ERR_INVALID, "'--env %s' has no name: write it as NAME=VALUE", given[i]);
                for (const char *p = given[i]; *p; p++)
                        if (*p == '=') {
                                strv_add(&v, given[i]);
                                ours = NULL;
                                break;
                        }
                if (ours)
                        strv_addf(&v, "%s=%s", given[i], ours);
        }
        if (v)
                json_add(o, "environment", json_from_strv(v));
        return 0;
}

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *parameters = vm_parameters(inv);
        autoclient struct client *c = NULL;
        struct session s;
        int status;

        json_add(parameters, "argv", json_from_strv(inv->operands));
        json_add_string(parameters, "cwd", arguments_text(&inv->arguments, "cwd", NULL));
        json_add_string(parameters, "user", arguments_text(&inv->arguments, "user", NULL));
        if (add_environment(parameters, &inv->arguments, err) < 0 || daemon_connect(&c, err) < 0 ||
            client_call(c, "org.initvm.Exec", take_ptr(parameters), VARLINK_UPGRADE, CALL_DEADLINE_MS, NULL, err) < 0)
                return -1;
        session_init(&s, take_ptr(c), &events, &s);
        session_catch(&s, forwarded, ARRAY_SIZE(forwarded));
        status = session_run(&s, STDIN_FILENO, err);
        session_done(&s);
        return status;
}

static const struct option_spec options[] = {
        {.name = "cwd", .letter = 'C', .type = OPTION_STRING, .argument = "FOLDER", .help = "run it in this folder of the VM"},
        {.name = "env",
         .letter = 'e',
         .type = OPTION_LIST,
         .argument = "NAME=VALUE",
         .help = "set a variable; NAME alone passes on yours; may be repeated"},
        {.name = "user", .letter = 'u', .type = OPTION_STRING, .argument = "USER", .help = "run it as this user (default: root)"},
        {0},
};

const struct command command_exec = {
        .name = "exec",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_VERBATIM | COMMAND_EXEC_STATUS,
        .summary = "run a command in the VM",
        .operands = "[--] COMMAND [ARGUMENT...]",
        .min_operands = 1,
        .options = options,
        .description =
                "Standard input, output and error are passed on unchanged and apart, Ctrl-C and other signals reach the command, "
                "and the exit status is the command's own, or 128+N when signal N ended it. 127: no such command, 126: cannot be "
                "executed, 125: initvm or the VM failed, 124: a deadline passed.\n"
                "No shell is involved: use 'sh -c' for pipes and the like.",
        .examples = "initvm exec -- uname -a\n"
                    "initvm exec --user build --cwd /srv/hello -- dpkg-buildpackage -us -uc\n"
                    "tar c src | initvm exec -- tar x -C /srv",
        .run = run,
};
