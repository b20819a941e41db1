/* SPDX-License-Identifier: MIT */
#include "daemon/child.h"

#include "daemon/reaper.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct child {
        struct loop *loop;
        pid_t pid; /* 0: it is gone, with wait_status */
        int wait_status;
        bool closed; /* its end of the connection */
        struct conn *conn;
        struct loop_source *exit;
        const struct child_events *events;
        void *userdata;
};

static void tell_when_gone(struct child *c)
{
        if (c->pid == 0 && c->closed)
                c->events->ended(c->userdata, c->wait_status);
}

static void on_input(void *userdata)
{
        struct child *c = userdata;

        c->events->input(c->userdata);
}

static void on_closed(void *userdata)
{
        struct child *c = userdata;

        c->closed = true;
        tell_when_gone(c);
}

static void on_exit_status(void *userdata, int wait_status)
{
        struct child *c = userdata;

        c->pid = 0;
        c->wait_status = wait_status;
        tell_when_gone(c);
}

/* *ret_socket: our end. */
static int spawn(const struct child_options *o, int *ret_socket, pid_t *ret_pid, struct error *err)
{
        autofree struct process_fd *fds = xcalloc(o->n_fds, sizeof(*fds));
        const struct process_options options = {.fds = fds,
                                                .n_fds = o->n_fds,
                                                .environment = o->environment,
                                                .cwd = "/",
                                                .new_group = true,
                                                .death_signal = SIGTERM};
        autoclose int ours = -1, theirs = -1;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "cannot make a connection to a child");
        ours = pair[0];
        theirs = pair[1];
        for (size_t i = 0; i < o->n_fds; i++) {
                fds[i] = o->fds[i];
                if (fds[i].from == CHILD_CONNECTION)
                        fds[i].from = theirs;
        }
        if (process_spawn(o->argv, &options, ret_pid, err) < 0)
                return -1;
        *ret_socket = take_fd(&ours);
        return 0;
}

struct child *child_start(struct loop *loop, const struct child_options *o, const struct child_events *events, void *userdata,
                          struct error *err)
{
        static const struct conn_events conn_events = {.input = on_input, .ended = on_closed};
        struct child *c;
        int socket;
        pid_t pid;

        if (spawn(o, &socket, &pid, err) < 0)
                return NULL;
        c = xcalloc(1, sizeof(*c));
        c->loop = loop;
        c->pid = pid;
        c->events = events;
        c->userdata = userdata;
        c->conn = conn_new(loop, socket, &conn_events, c);
        c->exit = loop_add_child(loop, pid, on_exit_status, c);
        return c;
}

struct conn *child_conn(const struct child *c)
{
        return c->conn;
}

void child_signal(const struct child *c, int signal)
{
        if (c->pid > 0)
                kill(c->pid, signal);
}

void child_free(struct child *c)
{
        if (!c)
                return;
        loop_source_free(c->exit);
        if (c->pid > 0)
                reaper_take(c->loop, c->pid);
        conn_free(c->conn);
        free(c);
}
