/* SPDX-License-Identifier: MIT */
/* initvm proxy: the SSH server of the VM on our standard input and output, for ssh_config(5)'s ProxyCommand. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/session.h"
#include "cli/vm.h"

#include <signal.h>
#include <unistd.h>

/* Through the agent: also without a network in the VM. */
#define SSH_ADDRESS "127.0.0.1:22"

static const int ends[] = {SIGINT, SIGTERM, SIGHUP};

static void on_message(void *userdata, struct json_object *message)
{
        struct session *s = userdata;
        struct error err = ERROR_INIT;

        if (varlink_read_reply(message, NULL, NULL, &err) < 0)
                session_fail(s, err.code, "%s", err.message);
        else
                session_end(s, 0);
}

/* The server has hung up: there is nobody to talk to. */
static void on_output_ended(void *userdata, uint8_t channel)
{
        (void)channel;
        session_end(userdata, 0);
}

static void on_closed(void *userdata)
{
        session_fail(userdata, ERR_DISCONNECTED, "the connection to the VM was lost");
}

static void on_signal(void *userdata, int signo)
{
        session_quit(userdata, 128 + signo);
}

static const struct session_events events = {
        .message = on_message, .output_ended = on_output_ended, .closed = on_closed, .signal = on_signal};

static int connect_server(const struct invocation *inv, struct client *c, struct error *err)
{
        struct json_object *parameters = vm_parameters(inv);

        json_add_string(parameters, "address", SSH_ADDRESS);
        return client_call(c, "org.initvm.Connect", parameters, VARLINK_UPGRADE, AGENT_CALL_DEADLINE_MS, NULL, err);
}

/* Nothing listens on that port, or there is no such VM.  A server that is there is running when this returns. */
static int have_server(const struct invocation *inv, struct client *c, struct error *err)
{
        autojson struct json_object *reply = NULL;

        return client_call(c, "org.initvm.PrepareSsh", vm_parameters(inv), 0, AGENT_CALL_DEADLINE_MS, &reply, err);
}

static int listens_elsewhere(const struct invocation *inv, struct error *err)
{
        return error_set(
                err, ERR_NOT_FOUND,
                "the SSH server of VM '%s' runs, but does not listen on %s: see Port and ListenAddress in its sshd_config",
                inv->name, SSH_ADDRESS);
}

static int run(const struct invocation *inv, struct error *err)
{
        autoclient struct client *c = NULL;
        struct session s;
        int status;

        if (daemon_connect(&c, err) < 0)
                return -1;
        if (connect_server(inv, c, err) < 0) {
                if (err->code != ERR_NOT_FOUND)
                        return -1;
                *err = (struct error)ERROR_INIT;
                if (have_server(inv, c, err) < 0)
                        return -1;
                if (connect_server(inv, c, err) < 0)
                        return err->code == ERR_NOT_FOUND ? listens_elsewhere(inv, err) : -1;
        }
        session_init(&s, take_ptr(c), &events, &s);
        session_catch(&s, ends, ARRAY_SIZE(ends));
        status = session_run(&s, STDIN_FILENO, err);
        session_done(&s);
        return status;
}

const struct command command_proxy = {
        .name = "proxy",
        .group = GROUP_INSIDE,
        .flags = COMMAND_VM,
        .summary = "connect standard input and output to the VM's SSH server",
        .operands = "[HOST]",
        .max_operands = 1,
        .description =
                "For the ProxyCommand of an SSH client, which 'initvm ssh-config' writes. HOST is what the client calls the VM, "
                "and is ignored. Ends when either side does.",
        .run = run,
};
