/* SPDX-License-Identifier: MIT */
#include "daemon/chroot_child.h"

#include "base/paths.h"
#include "base/process.h"
#include "daemon/reaper.h"
#include "io/conn.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What is kept of its words, and the longest line that is looked at: one event. */
#define WORDS_MAX 1500
#define EVENT_MAX (64u * 1024)

struct chroot_child {
        struct loop *loop;
        pid_t pid; /* 0: it has ended */
        int wait_status;
        struct conn *conn; /* its standard output and error: events are lines of JSON, anything else its words */
        struct loop_source *exit;
        bool closed;
        const struct chroot_child_events *events;
        void *userdata;
        char words[WORDS_MAX];
};

static void child_free(struct chroot_child *c)
{
        loop_source_free(c->exit);
        conn_free(c->conn);
        free(c);
}

/* Its last words are its error. */
static void take_line(struct chroot_child *c, const char *line, size_t n)
{
        autojson struct json_object *event = n && *line == '{' ? json_parse(line, n, NULL) : NULL;

        if (event)
                c->events->progress(c->userdata, event);
        else if (n)
                snprintf(c->words, sizeof(c->words), "%.*s", (int)MIN(n, sizeof(c->words) - 1), line);
}

static void on_input(void *userdata)
{
        struct chroot_child *c = userdata;
        struct buf *in = conn_input(c->conn);
        const char *end;

        while ((end = memchr(buf_head(in), '\n', buf_size(in)))) {
                const char *line = (const char *)buf_head(in);
                take_line(c, line, (size_t)(end - line));
                buf_consume(in, (size_t)(end - line) + 1);
        }
        if (buf_size(in) > EVENT_MAX)
                buf_consume(in, buf_size(in));
}

/* When it has gone and all that it said was heard, in whichever order that is noticed. */
static void tell_when_gone(struct chroot_child *c)
{
        const struct chroot_child_events *events = c->events;
        const char *words = str_has_prefix(c->words, "initvm: ") ? c->words + strlen("initvm: ") : c->words;
        void *to = c->userdata;
        bool lost;
        struct error err = ERROR_INIT;

        if (c->pid > 0 || !c->closed)
                return;
        lost = process_exit_status(c->wait_status) == error_exit_status(ERR_DISCONNECTED);
        if (c->wait_status != 0)
                error_set(&err, lost ? ERR_DISCONNECTED : ERR_FAILED, "%s", *words ? words : process_status_text(c->wait_status));
        child_free(c);
        events->done(to, err.code ? &err : NULL);
}

static void on_ended(void *userdata)
{
        struct chroot_child *c = userdata;

        c->closed = true;
        tell_when_gone(c);
}

static void on_child_exit(void *userdata, int wait_status)
{
        struct chroot_child *c = userdata;

        c->pid = 0;
        c->wait_status = wait_status;
        tell_when_gone(c);
}

static int spawn(const struct chroot_child_options *o, int *ret_socket, pid_t *ret_pid, struct error *err)
{
        autofree char *program = o->program ? xstrdup(o->program) : paths_program("initvm", err);
        autofree char *vm = xasprintf("--name=%s", o->vm), *architecture = xasprintf("--arch=%s", o->architecture);
        autofree char *suite = xasprintf("--suite=%s", o->suite);
        char *argv[] = {program,
                        (char *)"chroot",
                        (char *)"create",
                        (char *)"--json",
                        vm,
                        architecture,
                        suite,
                        (char *)"--",
                        (char *)o->name,
                        NULL};
        int pair[2], r;

        if (!program)
                return -1;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "cannot make a socket");
        const struct process_fd fds[] = {{pair[1], STDOUT_FILENO}, {pair[1], STDERR_FILENO}};
        const struct process_options options = {
                .fds = fds, .n_fds = ARRAY_SIZE(fds), .cwd = "/", .new_group = true, .death_signal = SIGTERM};
        r = process_spawn(argv, &options, ret_pid, err);
        close(pair[1]);
        if (r < 0) {
                close(pair[0]);
                return -1;
        }
        *ret_socket = pair[0];
        return 0;
}

struct chroot_child *chroot_child_start(struct loop *loop, const struct chroot_child_options *o,
                                        const struct chroot_child_events *events, void *userdata, struct error *err)
{
        static const struct conn_events conn_events = {.input = on_input, .ended = on_ended};
        struct chroot_child *c;
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
        c->exit = loop_add_child(loop, pid, on_child_exit, c);
        return c;
}

void chroot_child_cancel(struct chroot_child *c)
{
        if (!c)
                return;
        if (c->pid > 0) {
                loop_source_free(take_ptr(c->exit));
                kill(c->pid, SIGTERM);
                reaper_take(c->loop, c->pid);
        }
        child_free(c);
}
