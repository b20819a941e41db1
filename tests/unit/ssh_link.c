/* SPDX-License-Identifier: MIT */
#include "ssh_link.h"

#include "scratch.h"

#include "base/file.h"
#include "base/json.h"
#include "base/process.h"
#include "wire/varlink.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *program_path(const char *name)
{
        const char *bin = getenv("INITVM_BIN");

        return xasprintf("%s/%s", bin ? bin : "build/bin", name);
}

char *link_write_known_hosts(void **state, const char *alias, const char *public_key)
{
        autofree char *line = xasprintf("%s %s\n", alias, public_key);

        return scratch_file(state, "known_hosts", line, strlen(line), 0600);
}

/* Everything right: the tests change what they are about. */
struct link *link_new(void **state)
{
        struct link *l = xcalloc(1, sizeof(*l));
        autofree char *agent = host_agent_path();

        l->server = ssh_server_new(*state);
        l->agent = realpath(agent, NULL);
        assert_non_null(l->agent);
        l->known_hosts = link_write_known_hosts(state, LINK_ALIAS, l->server->host_key);
        l->identity = xstrdup(l->server->key);
        l->agent_path = xstrdup(l->agent);
        l->port = l->server->port;
        l->control = l->bytes = -1;
        return l;
}

void link_set(char **field, char *owned)
{
        free(*field);
        *field = owned;
}

void link_call(struct link *l)
{
        struct json_object *o = json_new();
        autobuf struct buf b = {0};

        json_add_string(o, "host", "127.0.0.1");
        json_add_u64(o, "port", l->port);
        json_add_string(o, "hostKeyAlias", LINK_ALIAS);
        json_add_string(o, "knownHosts", l->known_hosts);
        json_add_string(o, "user", l->server->user);
        json_add_string(o, "identityFile", l->identity);
        json_add_string(o, "agentPath", l->agent_path);
        json_add_string(o, "agentBinary", l->agent);
        if (l->timeout)
                json_add_u64(o, "timeout", l->timeout);
        if (l->silence)
                json_add_u64(o, "silence", l->silence);
        varlink_write_call(&b, "org.initvm.ssh.Connect", o, VARLINK_MORE);
        assert_return_code(fd_write_all(l->control, buf_head(&b), buf_size(&b)), errno);
}

void link_spawn(struct link *l)
{
        autofree char *program = program_path("initvm-ssh");
        char *const argv[] = {program, NULL};
        struct error err = ERROR_INIT;
        int control[2], bytes[2];

        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), errno);
        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, bytes), errno);
        const struct process_fd fds[] = {{control[1], 3}, {bytes[1], 4}, {STDERR_FILENO, STDERR_FILENO}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .death_signal = SIGKILL};
        if (process_spawn(argv, &options, &l->pid, &err) < 0)
                fail_msg("%s (build it, or set INITVM_BIN)", err.message);
        close(control[1]);
        close(bytes[1]);
        l->control = control[0];
        l->bytes = bytes[0];
}

void link_start(struct link *l)
{
        link_spawn(l);
        link_call(l);
}

/* The next message on fd 3 (owned); NULL at its end. */
static struct json_object *receive(struct link *l)
{
        struct json_object *message = NULL;
        struct error err = ERROR_INIT;
        int taken;

        while ((taken = varlink_take(&l->in, &message, &err)) == 0) {
                struct pollfd p = {.fd = l->control, .events = POLLIN};
                ssize_t n;
                if (poll(&p, 1, LINK_DEADLINE_MS) != 1)
                        fail_msg("no message came in time");
                n = read(l->control, buf_reserve(&l->in, 4096), 4096);
                if (n <= 0)
                        return NULL;
                buf_commit(&l->in, (size_t)n);
        }
        assert_int_equal(taken, 1);
        return message;
}

/* Waits for a state; others before it are passed over, an error fails. *ret_text: its reason or path, owned. */
void link_wait_state(struct link *l, const char *state, char **ret_text)
{
        for (;;) {
                autojson struct json_object *message = receive(l);
                struct json_object *parameters = NULL;
                struct error err = ERROR_INIT;
                bool continues;
                if (!message)
                        fail_msg("it ended before it was '%s'", state);
                if (varlink_read_reply(message, &parameters, &continues, &err) < 0)
                        fail_msg("instead of '%s': %s", state, err.message);
                assert_true(continues);
                if (!streq(json_get_string(parameters, "state", ""), state))
                        continue;
                if (ret_text)
                        *ret_text = xstrdup(json_get_string(parameters, "reason", json_get_string(parameters, "agentPath", "")));
                return;
        }
}

int link_wait_exit(struct link *l)
{
        int status;

        assert_true(process_ends(l->pid, LINK_DEADLINE_MS));
        assert_int_equal(waitpid(l->pid, &status, 0), l->pid);
        l->pid = 0;
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* Waits for the error that ends it. */
void link_wait_error(struct link *l, enum error_code code, struct error *err)
{
        *err = (struct error)ERROR_INIT;
        while (err->code == ERR_NONE) {
                autojson struct json_object *message = receive(l);
                struct json_object *parameters = NULL;
                bool continues;
                assert_non_null(message);
                varlink_read_reply(message, &parameters, &continues, err);
        }
        if (err->code != code)
                fail_msg("another error: %s", err->message);
        assert_int_equal(link_wait_exit(l), 1);
}

void assert_says(const char *text, const char *part)
{
        if (!strstr(text, part))
                fail_msg("'%s' does not say '%s'", text, part);
}

/* Closes what is open, which must end it with status 0, and frees. */
void link_stop(struct link *l)
{
        if (l->bytes >= 0)
                close(l->bytes);
        if (l->control >= 0)
                close(l->control);
        if (l->pid > 0)
                assert_int_equal(link_wait_exit(l), 0);
        ssh_server_free(l->server);
        buf_done(&l->in);
        free(l->agent);
        free(l->known_hosts);
        free(l->identity);
        free(l->agent_path);
        free(l);
}

struct host *link_host(struct link *l)
{
        struct host *h = host_attach(l->bytes);

        l->bytes = -1;
        return h;
}

void assert_carries(struct host *h)
{
        struct run *r = host_exec(h, "sh", "-c", "echo out; echo err >&2; exit 7", NULL);

        host_wait(h, r);
        assert_int_equal(r->exited, 7);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), "out\n");
        assert_string_equal(run_text(r, CHANNEL_STDERR), "err\n");
}

void link_fake_agent(void **state, struct link *l, const char *command)
{
        autofree char *text =
                xasprintf("#!/bin/sh\n[ \"$1\" = --stdio ] || exec echo 'initvm-agent 99.0.0 (protocol 1 to 9)'\n%s\n", command);

        link_set(&l->agent_path, scratch_file(state, "fake-agent", text, strlen(text), 0755));
}
