/* SPDX-License-Identifier: MIT */
/*
 * initvm-ssh as a child: one call on its fd 3, whose replies are the states of the connection, and the bytes on its fd 4.  It
 * ends when we do: by the end of these fds, and by a signal when it is in the middle of something.
 */
#include "base/log.h"
#include "base/process.h"
#include "daemon/carrier.h"
#include "daemon/reaper.h"
#include "io/conn.h"
#include "wire/varlink.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct ssh_carrier {
        struct carrier carrier; /* first: a carrier is cast to us */
        struct loop *loop;
        pid_t pid;
        struct conn *control, *bytes;
        struct loop_source *exit;
        bool ended;
};

static struct ssh_carrier *from(struct carrier *c)
{
        return (struct ssh_carrier *)c;
}

/* The owner may free us in it. */
static void end(struct ssh_carrier *s, const struct error *why)
{
        if (s->ended)
                return;
        s->ended = true;
        s->carrier.events->ended(s->carrier.userdata, why);
}

/* One message; false when that was the last one, and we may be gone. */
static bool take_message(struct ssh_carrier *s, struct json_object *message)
{
        struct error err = ERROR_INIT;
        struct json_object *parameters = NULL;
        const char *state;
        bool continues = false;

        if (varlink_read_reply(message, &parameters, &continues, &err) < 0) {
                end(s, &err);
                return false;
        }
        state = json_get_string(parameters, "state", "");
        if (streq(state, "connected"))
                s->carrier.events->reset(s->carrier.userdata, NULL);
        else if (streq(state, "waiting"))
                s->carrier.events->reset(s->carrier.userdata,
                                         json_get_string(parameters, "reason", "the SSH connection was lost"));
        return true;
}

static void on_control(void *userdata)
{
        struct ssh_carrier *s = userdata;

        for (;;) {
                struct error err = ERROR_INIT;
                autojson struct json_object *message = NULL;
                int taken = varlink_take(conn_input(s->control), &message, &err);

                if (taken == 0)
                        return;
                if (taken < 0) {
                        error_prefix(&err, "initvm-ssh");
                        end(s, &err);
                        return;
                }
                if (!take_message(s, message))
                        return;
        }
}

static void on_bytes(void *userdata)
{
        struct ssh_carrier *s = userdata;
        struct buf *in = conn_input(s->bytes);
        const uint8_t *data = buf_head(in);
        size_t n = buf_size(in);

        buf_consume(in, n); /* first: the owner may free us; the bytes stay until then */
        s->carrier.events->data(s->carrier.userdata, data, n);
}

static void on_drained(void *userdata)
{
        struct ssh_carrier *s = userdata;

        s->carrier.events->drained(s->carrier.userdata);
}

static void on_fd_ended(void *userdata)
{
        (void)userdata; /* its last message or its exit status follows */
}

static void on_child_exit(void *userdata, int wait_status)
{
        struct ssh_carrier *s = userdata;
        struct error err = ERROR_INIT;

        s->pid = 0;
        error_set(&err, ERR_FAILED, "initvm-ssh ended without a word (%s)", process_status_text(wait_status));
        end(s, &err);
}

static const struct conn_events control_events = {.input = on_control, .ended = on_fd_ended};
static const struct conn_events bytes_events = {.input = on_bytes, .ended = on_fd_ended, .drained = on_drained};

static void start(struct carrier *c)
{
        (void)c; /* the child was started already; what it says waits in the sockets for the loop's next round */
}

static struct buf *output(struct carrier *c)
{
        return conn_output(from(c)->bytes);
}

static void flush(struct carrier *c)
{
        conn_flush(from(c)->bytes);
}

static void release(struct carrier *c)
{
        struct ssh_carrier *s = from(c);

        loop_source_free(s->exit);
        if (s->pid > 0) {
                kill(s->pid, SIGTERM);
                reaper_take(s->loop, s->pid);
        }
        conn_free(s->control);
        conn_free(s->bytes);
        free(s);
}

static void send_call(struct ssh_carrier *s, const struct carrier_ssh_options *o)
{
        struct json_object *p = json_new();

        json_add_string(p, "host", "127.0.0.1");
        json_add_u64(p, "port", o->port);
        json_add_string(p, "hostKeyAlias", o->host_key_alias);
        json_add_string(p, "knownHosts", o->known_hosts);
        json_add_string(p, "user", o->user);
        json_add_string(p, "identityFile", o->identity_file);
        json_add_string(p, "agentPath", o->agent_path);
        json_add_string(p, "agentBinary", o->agent_binary);
        varlink_write_call(conn_output(s->control), "org.initvm.ssh.Connect", p, VARLINK_MORE);
        conn_flush(s->control);
}

/* Two socket pairs, one end of each for the child. */
static int spawn(const struct carrier_ssh_options *o, int ret_ours[2], pid_t *ret_pid, struct error *err)
{
        int control[2] = {-1, -1}, bytes[2] = {-1, -1}, result;
        autoclose int log_fd = open(o->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        char *const argv[] = {(char *)o->program, NULL};

        if (log_fd < 0)
                return error_errno(err, errno, "cannot write '%s'", o->log);
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0)
                return error_errno(err, errno, "cannot make a socket");
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, bytes) < 0) {
                close(control[0]);
                close(control[1]);
                return error_errno(err, errno, "cannot make a socket");
        }
        const struct process_fd fds[] = {{log_fd, STDERR_FILENO}, {control[1], 3}, {bytes[1], 4}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .cwd = "/", .death_signal = SIGTERM};
        result = process_spawn(argv, &options, ret_pid, err);
        close(control[1]);
        close(bytes[1]);
        if (result < 0) {
                close(control[0]);
                close(bytes[0]);
                return -1;
        }
        ret_ours[0] = control[0];
        ret_ours[1] = bytes[0];
        return 0;
}

struct carrier *carrier_ssh_new(struct loop *loop, const struct carrier_ssh_options *o, struct error *err)
{
        static const struct carrier_ops ops = {.start = start, .output = output, .flush = flush, .free = release};
        struct ssh_carrier *s;
        int fds[2];
        pid_t pid;

        if (spawn(o, fds, &pid, err) < 0)
                return NULL;
        s = xcalloc(1, sizeof(*s));
        s->carrier.ops = &ops;
        s->loop = loop;
        s->pid = pid;
        s->control = conn_new(loop, fds[0], &control_events, s);
        s->bytes = conn_new(loop, fds[1], &bytes_events, s);
        s->exit = loop_add_child(loop, pid, on_child_exit, s);
        send_call(s, o);
        return &s->carrier;
}
