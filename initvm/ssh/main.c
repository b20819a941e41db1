/* SPDX-License-Identifier: MIT */
/*
 * initvm-ssh: carries the bytes of the agent's port over SSH.  Started by initvmd with a connection as fd 3, on which it answers
 * one Varlink call, org.initvm.ssh.Connect, with states until something is final, and a socket as fd 4 for the bytes.  A
 * connection that is lost is made again; closing fd 3 or fd 4 ends the program.
 */
#include "base/log.h"
#include "io/control.h"
#include "ssh/carry.h"
#include "ssh/remote_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BYTES_FD 4

/* Between two tries: the first ones quickly, for a server that was restarted, then as often as a boot needs; for ever, since
 * whoever started us decides how long there is something to connect to. */
static const unsigned backoff_ms[] = {200, 500, 1000, 2000, 5000};

/* The first tries do not wait for a greeting for longer: a guest that boots is not there yet, and the next try may find it. Later
 * ones have all the time of a step, for a guest that is very slow. */
#define FIRST_TRIES       10
#define FIRST_PATIENCE_MS 3000

/* After a connection that lasted so long the tries begin anew with the first delay. */
#define STABLE_MS 10000

static int send_state(const char *state, const char *key, const char *text, uint64_t delay)
{
        struct json_object *o = json_new();

        json_add_string(o, "state", state);
        if (key)
                json_add_string(o, key, text);
        if (delay)
                json_add_u64(o, "delay", delay);
        return control_progress(CONTROL_FD, o);
}

static void on_uploading(void *userdata)
{
        (void)userdata;
        send_state("uploading", NULL, NULL, 0);
}

/* What was meant for the connection before. */
static void drop_old_bytes(void)
{
        static char block[65536];

        while (recv(BYTES_FD, block, sizeof(block), MSG_DONTWAIT) > 0)
                ;
}

/* One connection, from its beginning to its end, with why it ended. *ret_lasted: how long it carried, in milliseconds. */
static void serve_once(const struct request *r, size_t tries, uint64_t *ret_lasted, struct error *err)
{
        struct connection *c;
        const char *path;
        ssh_channel channel = NULL;
        uint64_t begun;

        *ret_lasted = 0;
        send_state("connecting", NULL, NULL, 0);
        c = connection_new(r, tries < FIRST_TRIES ? MIN(r->timeout_ms, FIRST_PATIENCE_MS) : r->timeout_ms, err);
        path = c ? remote_agent_find(c, r, on_uploading, NULL, err) : NULL;
        if (path) {
                autofree char *command = xasprintf("%s --stdio", path);
                channel = connection_exec(c, command, err);
        }
        if (channel) {
                drop_old_bytes();
                send_state("connected", "agentPath", path, 0);
                begun = now_ms();
                carry(c, r, channel, BYTES_FD, CONTROL_FD, err);
                *ret_lasted = now_ms() - begun;
                ssh_channel_free(channel);
        }
        connection_free(c);
}

static bool may_pass(const struct error *err)
{
        return err->code == ERR_DISCONNECTED || err->code == ERR_TIMEOUT;
}

/* False when the daemon has closed its end meanwhile. */
static bool wait_before_next(unsigned ms)
{
        struct pollfd fds[] = {{.fd = CONTROL_FD, .events = POLLIN}, {.fd = BYTES_FD, .events = 0}};

        return poll(fds, ARRAY_SIZE(fds), (int)ms) == 0;
}

/* Until something is final. */
static void serve(const struct request *r, struct error *err)
{
        autofree char *logged = NULL;
        size_t tries = 0;
        uint64_t lasted;

        for (;;) {
                unsigned delay;

                *err = (struct error)ERROR_INIT;
                serve_once(r, tries, &lasted, err);
                if (!may_pass(err))
                        return;
                if (!streq(logged, err->message)) { /* once: a guest may be down for a week */
                        log_info("%s", err->message);
                        free(logged);
                        logged = xstrdup(err->message);
                }
                if (lasted >= STABLE_MS)
                        tries = 0;
                delay = backoff_ms[MIN(tries, ARRAY_SIZE(backoff_ms) - 1)];
                tries++;
                if (send_state("waiting", "reason", err->message, delay) < 0 || !wait_before_next(delay)) {
                        error_set(err, ERR_CANCELLED, "the daemon has closed its end");
                        return;
                }
        }
}

int main(int argc, char **argv)
{
        struct error err = ERROR_INIT;
        autojson struct json_object *message = NULL;
        struct request request;

        (void)argv;
        if (argc > 1 || fcntl(CONTROL_FD, F_GETFD) < 0 || fcntl(BYTES_FD, F_GETFD) < 0) {
                fprintf(stderr,
                        "usage: initvm-ssh is started by initvmd, with a connection as fd %d and a socket as fd %d; see "
                        "initvm-ssh(8)\n",
                        CONTROL_FD, BYTES_FD);
                return 2;
        }
        fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
        fcntl(BYTES_FD, F_SETFD, FD_CLOEXEC);
        signal(SIGPIPE, SIG_IGN); /* a daemon that is gone is an error of write(2) */
        if (ssh_init() < 0)
                abort();
        if (control_read_call(CONTROL_FD, &message, &err) == 0 && request_read(message, &request, &err) == 0)
                serve(&request, &err);
        if (err.code != ERR_CANCELLED) {
                log_error("%s", err.message);
                control_fail(CONTROL_FD, &err);
        }
        ssh_finalize();
        return err.code == ERR_CANCELLED ? 0 : 1;
}
