/* SPDX-License-Identifier: MIT */
/* initvm attach: the VM's serial console on this terminal, which is restored however it ends. */
#include "cli/commands.h"
#include "cli/console_log.h"
#include "cli/daemon.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "cli/vm.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DETACH_KEY      0x1d /* Ctrl-], as telnet and virsh have it */
#define DETACH_KEY_NAME "Ctrl-]"

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

struct attach {
        struct session session;
        bool terminal;  /* standard input is one, and raw */
        bool keyboard;  /* what is typed is sent */
        bool ended;     /* the console did, not we */
        char *farewell; /* why; owned */
};

/* In the middle of the console's output, on a line of its own. */
static void say(const struct attach *a, const char *text)
{
        dprintf(STDERR_FILENO, "\r\ninitvm: %s%s\n", text, a->terminal ? "\r" : "");
}

static void on_message(void *userdata, struct json_object *message)
{
        struct attach *a = userdata;
        const char *event = json_get_string(message, "event", "");

        if (streq(event, "keyboard-lost")) {
                a->keyboard = false;
                say(a, "another viewer took the keyboard over; you are watching now");
        } else if (streq(event, "skipped")) {
                autofree char *text = xasprintf("%s of the console's output were skipped, this terminal was too slow",
                                                format_size(json_get_u64(message, "bytes", 0)));
                say(a, text);
        } else if (streq(event, "ended")) {
                a->ended = true;
                a->farewell = xstrdup(json_get_string(message, "message", "the console has ended"));
                session_end(&a->session, 0);
        }
}

static void on_closed(void *userdata)
{
        struct attach *a = userdata;

        session_fail(&a->session, ERR_DISCONNECTED, "the connection to the daemon was lost; the VM goes on, attach again");
}

static size_t on_input(void *userdata, const uint8_t *data, size_t n)
{
        struct attach *a = userdata;
        const uint8_t *detach = a->terminal ? memchr(data, DETACH_KEY, n) : NULL;

        if (detach) {
                n = (size_t)(detach - data);
                session_quit(&a->session, 0);
        }
        return a->keyboard ? n : 0;
}

/* A terminal that is gone ends us; behind a pipe that has ended the console is still worth following. */
static void on_input_ended(void *userdata)
{
        struct attach *a = userdata;

        if (a->terminal)
                session_quit(&a->session, 0);
}

static void on_signal(void *userdata, int signo)
{
        struct attach *a = userdata;

        if (signo == SIGTSTP)
                terminal_suspend();
        else
                session_quit(&a->session, 128 + signo);
}

static const struct session_events events = {
        .message = on_message, .closed = on_closed, .input = on_input, .input_ended = on_input_ended, .signal = on_signal};

static void greet(const struct attach *a, const struct invocation *inv, bool read_only)
{
        if (a->terminal)
                fprintf(stderr, "attached to the console of '%s'; %s detaches\n", inv->name, DETACH_KEY_NAME);
        if (!a->keyboard && !read_only)
                fprintf(stderr, "another viewer has the keyboard: you are watching; --force takes it over\n");
}

static int follow(struct attach *a, struct client *owned, const struct invocation *inv, bool read_only, struct error *err)
{
        int status;

        session_init(&a->session, owned, &events, a);
        session_catch(&a->session, caught, ARRAY_SIZE(caught));
        a->terminal = isatty(STDIN_FILENO);
        greet(a, inv, read_only);
        if (a->terminal && terminal_raw(STDIN_FILENO, err) < 0)
                status = -1;
        else
                status = session_run(&a->session, a->terminal || a->keyboard ? STDIN_FILENO : -1, err);
        terminal_restore();
        if (a->terminal || a->ended)
                fprintf(stderr, "\n%s%s", a->ended ? a->farewell : status < 0 ? "" : "detached", status < 0 ? "" : "\n");
        free(a->farewell);
        session_done(&a->session);
        return status;
}

static int run(const struct invocation *inv, struct error *err)
{
        autojson struct json_object *parameters = vm_parameters(inv), *reply = NULL;
        autoclient struct client *c = NULL;
        bool read_only = arguments_flag(&inv->arguments, "read-only"), force = arguments_flag(&inv->arguments, "force");
        struct attach a = {0};

        if (read_only && force)
                return error_set(err, ERR_INVALID, "'--read-only' and '--force' exclude each other");
        if (daemon_connect(&c, err) < 0)
                return -1;
        if (arguments_flag(&inv->arguments, "log"))
                return console_log_print(c, inv, err);
        if (read_only)
                json_add_bool(parameters, "readOnly", true);
        if (force)
                json_add_bool(parameters, "force", true);
        if (client_call(c, "org.initvm.Attach", take_ptr(parameters), VARLINK_UPGRADE, CALL_DEADLINE_MS, &reply, err) < 0)
                return -1;
        a.keyboard = json_get_bool(reply, "writer", false);
        return follow(&a, take_ptr(c), inv, read_only, err);
}

static const struct option_spec options[] = {
        {.name = "read-only", .letter = 'r', .type = OPTION_FLAG, .help = "only watch"},
        {.name = "force", .letter = 'f', .type = OPTION_FLAG, .help = "take the keyboard over from another viewer"},
        {.name = "log", .type = OPTION_FLAG, .help = "print what the console has recorded, and end"},
        {0},
};

const struct command command_attach = {
        .name = "attach",
        .alias = "console",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM | COMMAND_VM_OPERAND,
        .summary = "use the serial console of the VM",
        .options = options,
        .description =
                "Shows the last output and goes on from there, also while the VM boots. Any number may watch, one types. Ctrl-] "
                "detaches.\n"
                "Standard input that is no terminal is sent to the console up to its end; the output goes on until the console "
                "ends.",
        .run = run,
};
