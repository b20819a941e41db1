/* SPDX-License-Identifier: MIT */
#include "cli/forward.h"

#include "cli/daemon.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "io/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct forward_connection {
        struct forward *forward;
        char *label;
        struct tunnel *tunnel;
        struct forward_connection *prev, *next;
};

struct forward_listener {
        struct forward *forward;
        struct address bound;
        char *target; /* in the VM */
        char *label;
        int fd;
        struct loop_source *source;
        struct forward_listener *next;
};

void forward_complain(const char *label, const struct error *err)
{
        autobuf struct buf b = {0};
        autofree char *text = NULL;

        text_append_safe(&b, err->message, true);
        text = buf_take_string(&b);
        fprintf(stderr, "%sinitvm: %s: %s%s\n", terminal_style(STDERR_FILENO, STYLE_RED), label, text,
                terminal_style(STDERR_FILENO, STYLE_RESET));
}

void forward_announce(const struct forward *f, const struct address *from, bool from_vm, const struct address *to)
{
        autofree char *from_text = address_text(from), *to_text = address_text(to);
        autojson struct json_object *o = json_new(), *line = json_new();

        if (f->json) {
                json_add_string(o, "from", from_text);
                json_add_string(o, "to", to_text);
                json_add_bool(o, "reverse", from_vm);
                json_add(line, "forward", json_object_get(o));
                printf("%s\n", json_line(line));
        } else if (from_vm) {
                printf("forwarding %s in '%s' to %s\n", from_text, f->name, to_text);
        } else {
                printf("forwarding %s to %s in '%s'\n", from_text, to_text, f->name);
        }
        fflush(stdout); /* whoever waits for it may go on */
}

int forward_connect_daemon(struct error *err)
{
        struct client *c = NULL;
        struct buf unread;
        int fd;

        if (daemon_connect_running(&c, err) < 0 && (err->code != ERR_NOT_FOUND || daemon_connect(&c, err) < 0))
                return -1;
        fd = client_release(c, &unread);
        buf_done(&unread);
        return fd;
}

bool forward_is_full(const struct forward *f)
{
        return f->n_connections >= FORWARD_CONNECTIONS_MAX;
}

static void watch_listeners(struct forward *f)
{
        for (struct forward_listener *l = f->listeners; l; l = l->next)
                loop_fd_set_events(l->source, forward_is_full(f) ? 0 : EPOLLIN);
}

static void forget(struct forward_connection *c)
{
        struct forward *f = c->forward;

        if (c->prev)
                c->prev->next = c->next;
        else
                f->connections = c->next;
        if (c->next)
                c->next->prev = c->prev;
        f->n_connections--;
        free(c->label);
        free(c);
        watch_listeners(f);
}

static void on_ended(void *userdata, const struct error *err)
{
        struct forward_connection *c = userdata;

        if (err)
                forward_complain(c->label, err);
        forget(c);
}

void forward_carry(struct forward *f, const char *label, const char *method, struct json_object *parameters, int socket_fd)
{
        struct error err = ERROR_INIT;
        int daemon_fd = forward_connect_daemon(&err);
        struct forward_connection *c;

        if (daemon_fd < 0) {
                forward_complain(label, &err);
                json_object_put(parameters);
                socket_reset(socket_fd);
                return;
        }
        c = xcalloc(1, sizeof(*c));
        c->forward = f;
        c->label = xstrdup(label);
        c->next = f->connections;
        if (c->next)
                c->next->prev = c;
        f->connections = c;
        f->n_connections++;
        c->tunnel = tunnel_new(f->loop, daemon_fd, method, parameters, socket_fd, on_ended, c);
        watch_listeners(f);
}

static void on_connection(void *userdata, uint32_t events)
{
        struct forward_listener *l = userdata;
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct json_object *parameters;

        (void)events;
        if (fd < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                        /* It would be ready again at once. Other reasons are those of one connection: accept(2). */
                        error_errno(l->forward->err, errno, "cannot take a connection on %s", l->label);
                        loop_quit(l->forward->loop, -1);
                }
                return;
        }
        socket_no_delay(fd);
        parameters = json_new();
        json_add_string(parameters, "name", l->forward->name);
        json_add_string(parameters, "address", l->target);
        forward_carry(l->forward, l->label, "org.initvm.Connect", parameters, fd);
}

int forward_listen(struct forward *f, const struct forward_spec *spec, struct error *err)
{
        struct address bound;
        int fd = socket_listen(&spec->local, "on the host", &bound, err);
        struct forward_listener *l;

        if (fd < 0)
                return -1;
        l = xcalloc(1, sizeof(*l));
        l->forward = f;
        l->bound = bound;
        l->target = address_text(&spec->remote);
        l->label = address_text(&bound);
        l->fd = fd;
        l->source = loop_add_fd(f->loop, fd, EPOLLIN, on_connection, l);
        l->next = f->listeners;
        f->listeners = l;
        forward_announce(f, &bound, false, &spec->remote);
        return 0;
}

void forward_done(struct forward *f)
{
        while (f->connections) {
                struct forward_connection *c = f->connections;

                tunnel_free(c->tunnel);
                forget(c);
        }
        while (f->listeners) {
                struct forward_listener *l = f->listeners;

                f->listeners = l->next;
                loop_source_free(l->source);
                close(l->fd);
                socket_unlink(&l->bound);
                free(l->target);
                free(l->label);
                free(l);
        }
        forward_reverse_free(take_ptr(f->reverses));
}
