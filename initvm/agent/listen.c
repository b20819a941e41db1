/* SPDX-License-Identifier: MIT */
#include "agent/listen.h"

#include "agent/connect.h"
#include "base/log.h"
#include "io/socket.h"
#include "wire/varlink.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* A JSON number that every reader keeps exactly (RFC 8259, section 6). */
#define CONNECTION_MASK ((UINT64_C(1) << 53) - 1)

struct waiting {
        uint64_t number;
        int fd;
        uint64_t until; /* now_ms() */
        TAILQ_ENTRY(waiting) link;
};

struct listener {
        struct agent *agent;
        struct stream *stream;
        struct address bound;
        int fd;
        struct loop_source *source;
        struct loop_source *deadline;  /* of the first one that waits */
        TAILQ_HEAD(, waiting) waiting; /* in the order of their deadlines */
        size_t n_waiting;
        LIST_ENTRY(listener) link;
};

/* Removes it from the queue; returns its socket, owned. */
static int take_waiting(struct listener *l, struct waiting *w)
{
        int fd = w->fd;

        TAILQ_REMOVE(&l->waiting, w, link);
        l->n_waiting--;
        free(w);
        return fd;
}

static void listener_free(struct listener *l)
{
        struct waiting *w;

        while ((w = TAILQ_FIRST(&l->waiting)))
                socket_reset(take_waiting(l, w));
        loop_source_free(l->source);
        loop_source_free(l->deadline);
        cleanup_close(&l->fd);
        socket_unlink(&l->bound);
        LIST_REMOVE(l, link);
        l->agent->n_listeners--;
        free(l);
}

/* After every change of the queue. */
static void watch(struct listener *l)
{
        const struct waiting *first = TAILQ_FIRST(&l->waiting);
        uint64_t now = now_ms();

        loop_fd_set_events(l->source, l->n_waiting < LISTEN_WAITING_MAX ? EPOLLIN : 0);
        if (first)
                loop_timer_arm(l->deadline, first->until > now ? first->until - now : 0);
        else
                loop_timer_disarm(l->deadline);
}

static void on_deadline(void *userdata)
{
        struct listener *l = userdata;
        uint64_t now = now_ms();
        struct waiting *w;

        while ((w = TAILQ_FIRST(&l->waiting)) && w->until <= now)
                socket_reset(take_waiting(l, w));
        watch(l);
}

static void announce(struct listener *l, int owned_fd)
{
        struct waiting *w = xcalloc(1, sizeof(*w));
        struct json_object *o = json_new();

        socket_no_delay(owned_fd);
        random_bytes(&w->number, sizeof(w->number));
        w->number &= CONNECTION_MASK;
        w->fd = owned_fd;
        w->until = now_ms() + LISTEN_CLAIM_TIMEOUT_MS;
        TAILQ_INSERT_TAIL(&l->waiting, w, link);
        l->n_waiting++;
        json_add_u64(o, "connection", w->number);
        stream_reply(l->stream, varlink_reply_new(o, true));
        watch(l);
}

static void on_ready(void *userdata, uint32_t events)
{
        struct listener *l = userdata;
        struct error err = ERROR_INIT;
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        (void)events;
        if (fd >= 0) {
                announce(l, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                /* It would be ready again at once. Other reasons are those of one connection: accept(2). */
                error_errno(&err, errno, "cannot take a connection in the VM");
                stream_fail(l->stream, &err);
                listener_free(l);
        }
}

static void on_closed(void *userdata)
{
        listener_free(userdata);
}

static const struct stream_ops ops = {.closed = on_closed};

static int open_listener(struct agent *agent, const struct address *address, struct address *ret_bound, struct error *err)
{
        if (agent->n_listeners == LISTENERS_MAX)
                return error_set(err, ERR_STATE, "%d addresses are listened on in the VM already; end one of the forwards",
                                 LISTENERS_MAX);
        return socket_listen(address, "in the VM", ret_bound, err);
}

void listen_start(struct agent *agent, struct stream *stream, const struct address *address)
{
        struct error err = ERROR_INIT;
        struct address bound;
        int fd = open_listener(agent, address, &bound, &err);
        autofree char *text = NULL;
        struct json_object *o;
        struct listener *l;

        if (fd < 0) {
                stream_fail(stream, &err);
                return;
        }
        l = xcalloc(1, sizeof(*l));
        l->agent = agent;
        l->stream = stream;
        l->bound = bound;
        l->fd = fd;
        TAILQ_INIT(&l->waiting);
        LIST_INSERT_HEAD(&agent->listeners, l, link);
        agent->n_listeners++;
        stream_take(stream, &ops, l);
        l->source = loop_add_fd(agent->loop, fd, EPOLLIN, on_ready, l);
        l->deadline = loop_add_timer(agent->loop, on_deadline, l);
        text = address_text(&bound);
        o = json_new();
        json_add_string(o, "address", text);
        stream_reply(stream, varlink_reply_new(o, true));
}

void listen_accept(struct agent *agent, struct stream *stream, uint64_t connection)
{
        struct error err = ERROR_INIT;
        struct listener *l;
        struct waiting *w;

        LIST_FOREACH(l, &agent->listeners, link)
        TAILQ_FOREACH(w, &l->waiting, link)
        if (w->number == connection) {
                int fd = take_waiting(l, w);

                watch(l);
                connect_take(agent, stream, fd);
                return;
        }
        error_set(&err, ERR_NOT_FOUND, "no connection %llu waits in the VM: it was not taken within %d s",
                  (unsigned long long)connection, LISTEN_CLAIM_TIMEOUT_MS / 1000);
        stream_fail(stream, &err);
}
