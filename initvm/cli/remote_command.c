/* SPDX-License-Identifier: MIT */
#include "cli/remote_command.h"

#include "base/process.h"
#include "cli/daemon.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "cli/vm.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The command's own are 0 to 255; a signal is told as the shells do. */
#define STATUS_MASK      0xff
/* As machinectl(1) has it: programs in the VM use the key, too, but nobody presses it that often. */
#define HANGUP_KEY       0x1d /* Ctrl-] */
#define HANGUP_PRESSES   3
#define HANGUP_WITHIN_MS 1000

/* Those that a terminal or a supervisor sends to end a command; and those that concern our terminal. */
static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int terminal_signals[] = {SIGWINCH, SIGTSTP};

struct remote {
        struct session session;
        struct winsize size; /* as the VM knows it */
        unsigned presses;    /* of the hang-up key, one after the other */
        uint64_t first_press;
};

/* ---- the call */

int remote_command_environment(const struct arguments *a, char ***ret, struct error *err)
{
        autostrv char **given = arguments_list(a, "env");

        for (size_t i = 0; given && given[i]; i++) {
                const char *ours = getenv(given[i]);

                if (given[i][0] == '=')
                        return error_set(err, ERR_INVALID, "'--env %s' has no name: write it as NAME=VALUE", given[i]);
                if (strchr(given[i], '='))
                        strv_add(ret, given[i]);
                else if (ours)
                        strv_addf(ret, "%s=%s", given[i], ours);
        }
        return 0;
}

static int add_account(struct json_object *o, const struct arguments *a, struct error *err)
{
        autostrv char **environment = NULL;

        json_add_string(o, "cwd", arguments_text(a, "cwd", NULL));
        json_add_string(o, "user", arguments_text(a, "user", NULL));
        if (remote_command_environment(a, &environment, err) < 0)
                return -1;
        if (environment)
                json_add(o, "environment", json_from_strv(environment));
        return 0;
}

/* Of the first of our standard fds that is a terminal; all 0 when none is. */
static struct winsize our_size(void)
{
        struct winsize size = {0};

        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (ioctl(fd, TIOCGWINSZ, &size) == 0)
                        return size;
        return (struct winsize){0};
}

static struct json_object *size_new(const struct winsize *size)
{
        struct json_object *o = json_new();

        json_add_u64(o, "rows", size->ws_row);
        json_add_u64(o, "columns", size->ws_col);
        return o;
}

static struct json_object *terminal_new(const struct winsize *size)
{
        struct json_object *o = size_new(size);
        const char *term = getenv("TERM");

        json_add_string(o, "name", term && *term ? term : "dumb");
        return o;
}

static int call(struct remote *r, const struct invocation *inv, const struct remote_command *command, struct client **ret,
                struct error *err)
{
        autojson struct json_object *parameters = vm_parameters(inv);
        autoclient struct client *c = NULL;

        json_add(parameters, "argv", json_from_strv(command->argv));
        if (!command->argv[0])
                json_add_bool(parameters, "login", true);
        if (command->terminal) {
                r->size = our_size();
                json_add(parameters, "terminal", terminal_new(&r->size));
        }
        if ((!command->wrapped && add_account(parameters, &inv->arguments, err) < 0) || daemon_connect(&c, err) < 0 ||
            client_call(c, "org.initvm.Exec", take_ptr(parameters), VARLINK_UPGRADE, AGENT_CALL_DEADLINE_MS, NULL, err) < 0)
                return -1;
        *ret = take_ptr(c);
        return 0;
}

/* ---- what the VM says */

static void on_message(void *userdata, struct json_object *message)
{
        struct remote *r = userdata;
        struct session *s = &r->session;
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
        struct remote *r = userdata;

        session_fail(&r->session, ERR_DISCONNECTED,
                     "the connection was lost before the command ended, so its exit status is not known; 'initvm status' tells "
                     "whether the VM still runs, 'initvm daemon log' more");
}

/* ---- signals, and the raw terminal */

static void send_signal(struct remote *r, int signo)
{
        struct json_object *message = json_new();

        json_add_u64(message, "signal", (uint64_t)signo);
        session_send(&r->session, message);
}

/* Without a raw terminal the command decides what a signal means. */
static void on_signal(void *userdata, int signo)
{
        send_signal(userdata, signo);
}

static void send_size(struct remote *r)
{
        struct winsize size = our_size();
        struct json_object *message;

        if (size.ws_row == r->size.ws_row && size.ws_col == r->size.ws_col)
                return;
        r->size = size;
        message = json_new();
        json_add(message, "resize", size_new(&size));
        session_send(&r->session, message);
}

static void on_signal_raw(void *userdata, int signo)
{
        struct remote *r = userdata;

        if (signo == SIGTSTP)
                terminal_suspend();
        if (signo == SIGTSTP || signo == SIGWINCH) {
                send_size(r);
                return;
        }
        send_signal(r, signo);
        session_quit(&r->session, STATUS_SIGNAL + signo);
}

/* Looks for the hang-up key. */
static size_t on_keys(void *userdata, const uint8_t *data, size_t n)
{
        struct remote *r = userdata;

        for (size_t i = 0; i < n; i++) {
                if (data[i] != HANGUP_KEY) {
                        r->presses = 0;
                        continue;
                }
                if (r->presses == 0 || now_ms() - r->first_press > HANGUP_WITHIN_MS) {
                        r->presses = 0;
                        r->first_press = now_ms();
                }
                if (++r->presses == HANGUP_PRESSES)
                        session_fail(&r->session, ERR_CANCELLED, "you hung up, and so the command in the VM was told");
        }
        return n;
}

/* Our terminal is gone. */
static void on_keys_ended(void *userdata)
{
        struct remote *r = userdata;

        session_quit(&r->session, STATUS_SIGNAL + SIGHUP);
}

static const struct session_events events = {.message = on_message, .closed = on_closed, .signal = on_signal};
static const struct session_events raw_events = {
        .message = on_message, .closed = on_closed, .signal = on_signal_raw, .input = on_keys, .input_ended = on_keys_ended};

static int run_raw(struct remote *r, struct error *err)
{
        int status = -1;

        session_catch(&r->session, terminal_signals, ARRAY_SIZE(terminal_signals));
        if (terminal_raw(STDIN_FILENO, err) == 0) {
                send_size(r); /* what changed before the signal was caught */
                status = session_run(&r->session, STDIN_FILENO, err);
                terminal_restore();
        }
        if (status < 0)
                dprintf(STDERR_FILENO, "\n"); /* the error goes on a line of its own */
        return status;
}

int remote_command_run(const struct invocation *inv, const struct remote_command *command, struct error *err)
{
        struct remote r = {0};
        struct client *c = NULL;
        bool raw = command->terminal && isatty(STDIN_FILENO);
        int status;

        if (call(&r, inv, command, &c, err) < 0)
                return -1;
        session_init(&r.session, c, raw ? &raw_events : &events, &r);
        session_catch(&r.session, ending, ARRAY_SIZE(ending));
        status = raw ? run_raw(&r, err) : session_run(&r.session, STDIN_FILENO, err);
        session_done(&r.session);
        return status;
}
