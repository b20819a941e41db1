/* SPDX-License-Identifier: MIT */
/* The socket is watched edge-triggered: it is read until it says EAGAIN, whenever its turn comes, and written likewise. */
#include "agent/connect.h"

#include "base/log.h"
#include "io/socket.h"
#include "wire/frame.h"
#include "wire/varlink.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct tunnel {
        struct pump pump; /* first: the pump's address is ours */
        struct agent *agent;
        struct stream *stream;
        struct address address; /* what was asked for; not of an accepted one */
        struct dial *dial;      /* until it is connected */
        int fd;
        struct loop_source *source;
        struct buf queue;   /* for the peer */
        bool starved;       /* there may be something to read, but there is no credit */
        bool reading_ended; /* the peer will send no more */
        bool host_ended;    /* the host will send no more */
        bool writing_ended; /* shut down, or the peer takes no more */
        bool hung_up;       /* the peer has closed both directions: what is to be read is read, the rest is void */
        bool reset;         /* by the peer */
};

static void tunnel_free(struct tunnel *t)
{
        dial_cancel(t->dial);
        mux_delist(t->agent->mux, &t->pump);
        loop_source_free(t->source);
        cleanup_close(&t->fd);
        buf_done(&t->queue);
        free(t);
}

static void finish_when_done(struct tunnel *t)
{
        struct error err = ERROR_INIT;

        if (!t->reading_ended || !(t->writing_ended || t->hung_up))
                return;
        if (t->reset) {
                error_set(&err, ERR_DISCONNECTED, "the connection was reset in the VM");
                stream_fail(t->stream, &err);
        } else {
                stream_reply(t->stream, varlink_reply_new(NULL, false));
                stream_close(t->stream);
        }
        tunnel_free(t);
}

/* Its turn: one frame. Everything beyond waits for the next turn, for credit or for an edge. */
static void on_turn(struct pump *pump)
{
        struct tunnel *t = (struct tunnel *)pump;
        uint8_t *place;
        size_t max;
        ssize_t n;

        place = stream_data_place(t->stream, &max);
        if (!place) {
                t->starved = true;
                return;
        }
        do
                n = recv(t->fd, place, max, 0);
        while (n < 0 && errno == EINTR);
        if (n > 0) {
                stream_data_sent(t->stream, CHANNEL_STDOUT, (size_t)n);
                mux_enlist(t->agent->mux, &t->pump);
        } else if (n == 0 || errno != EAGAIN) {
                t->reset |= n < 0;
                t->writing_ended |= n < 0;
                t->reading_ended = true;
                if (!t->reset) /* a reset is no end in order: the host must not take it for one */
                        stream_eof(t->stream, CHANNEL_STDOUT);
                finish_when_done(t);
        }
}

/* The peer takes no more: what is there and what still comes is dropped, and the host may go on sending. */
static void drop_queue(struct tunnel *t)
{
        t->writing_ended = true;
        stream_grant(t->stream, buf_size(&t->queue));
        buf_consume(&t->queue, buf_size(&t->queue));
}

/* Sends what the socket takes. When the peer does not take any more, that is its affair; what it has sent is still read. */
static void write_queue(struct tunnel *t)
{
        while (buf_size(&t->queue) > 0 && !t->writing_ended) {
                ssize_t n = send(t->fd, buf_head(&t->queue), buf_size(&t->queue), MSG_NOSIGNAL);

                if (n >= 0) {
                        buf_consume(&t->queue, (size_t)n);
                        stream_grant(t->stream, (size_t)n);
                } else if (errno == EAGAIN) {
                        return;
                } else if (errno != EINTR) {
                        t->reset |= errno == ECONNRESET;
                        drop_queue(t);
                }
        }
        if (t->host_ended && !t->writing_ended) {
                t->writing_ended = true;
                shutdown(t->fd, SHUT_WR);
        }
}

static void on_socket(void *userdata, uint32_t events)
{
        struct tunnel *t = userdata;

        if (!t->starved && !t->reading_ended)
                mux_enlist(t->agent->mux, &t->pump);
        t->hung_up |= (events & EPOLLHUP) != 0;
        write_queue(t);
        finish_when_done(t);
}

static void on_credit(void *userdata)
{
        struct tunnel *t = userdata;

        if (t->starved) {
                t->starved = false;
                mux_enlist(t->agent->mux, &t->pump);
        }
}

static void on_data(void *userdata, const uint8_t *data, size_t n)
{
        struct tunnel *t = userdata;

        if (t->writing_ended || t->host_ended) {
                stream_grant(t->stream, n);
                return;
        }
        buf_append(&t->queue, data, n);
        if (t->fd < 0)
                return;
        write_queue(t);
        finish_when_done(t);
}

static void on_eof(void *userdata)
{
        struct tunnel *t = userdata;

        t->host_ended = true;
        if (t->fd < 0)
                return;
        write_queue(t);
        finish_when_done(t);
}

static void on_message(void *userdata, struct json_object *message)
{
        (void)userdata;
        log_warning("a message on a connection's stream, which has none: %s", json_line(message));
}

static void on_closed(void *userdata)
{
        struct tunnel *t = userdata;

        loop_source_free(take_ptr(t->source));
        if (t->fd >= 0)
                socket_reset(take_fd(&t->fd));
        tunnel_free(t);
}

static struct tunnel *tunnel_new(struct agent *agent, struct stream *stream)
{
        static const struct stream_ops ops = {
                .data = on_data, .eof = on_eof, .message = on_message, .credit = on_credit, .closed = on_closed};
        struct tunnel *t = xcalloc(1, sizeof(*t));

        t->pump.fn = on_turn;
        t->agent = agent;
        t->stream = stream;
        t->fd = -1;
        stream_take(stream, &ops, t);
        return t;
}

static void begin(struct tunnel *t, int owned_fd)
{
        t->fd = owned_fd;
        stream_reply(t->stream, varlink_reply_new(NULL, true));
        t->source = loop_add_fd(t->agent->loop, owned_fd, EPOLLIN | EPOLLOUT | EPOLLET, on_socket, t);
}

static void on_dialed(void *userdata, int owned_fd, int errnum)
{
        struct tunnel *t = userdata;
        struct error err = ERROR_INIT;

        t->dial = NULL;
        if (owned_fd >= 0) {
                begin(t, owned_fd);
                return;
        }
        dial_error(&t->address, "in the VM", errnum, &err);
        stream_fail(t->stream, &err);
        tunnel_free(t);
}

void connect_start(struct agent *agent, struct stream *stream, const struct address *address)
{
        struct tunnel *t = tunnel_new(agent, stream);

        t->address = *address;
        t->dial = dial_start(agent->loop, address, on_dialed, t);
}

void connect_take(struct agent *agent, struct stream *stream, int owned_fd)
{
        begin(tunnel_new(agent, stream), owned_fd);
}
