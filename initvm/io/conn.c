/* SPDX-License-Identifier: MIT */
#include "io/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A peer that has been sent everything and does not close for so long is given up; what it has not read yet stays readable. */
#define FINISH_TIMEOUT_MS 10000

/* What a peer may have had under way when we finished (a window of frames, the socket's buffers) is far below; more is a flood.
 */
#define LINGER_MAX (4u << 20)

struct conn {
        struct loop *loop;
        int fd;
        struct loop_source *source;
        struct loop_source *finish_timer;
        struct buf in, out;
        const struct conn_events *events;
        void *userdata;
        bool paused;
        bool eof;       /* nothing more to read */
        bool broken;    /* nothing more can be written */
        bool failed;    /* reading ended with an error */
        bool ending;    /* the owner writes no more: our side is shut down when the output is out */
        bool finishing; /* owned by nobody: flushes, lingers, frees itself */
        bool shut;
        size_t dropped; /* input that came after our side was shut down */
        bool *freed;    /* set by conn_free() for the callback that is running */
};

static void watch(struct conn *c)
{
        uint32_t events = 0;

        if (!c->paused && !c->eof)
                events |= EPOLLIN;
        if (buf_size(&c->out) > 0 && !c->broken)
                events |= EPOLLOUT;
        loop_fd_set_events(c->source, events);
}

static void write_some(struct conn *c)
{
        while (buf_size(&c->out) > 0 && !c->broken) {
                ssize_t n = send(c->fd, buf_head(&c->out), buf_size(&c->out), MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0) {
                        c->broken = true;
                        break;
                }
                buf_consume(&c->out, (size_t)n);
        }
        if (c->broken)
                buf_consume(&c->out, buf_size(&c->out));
        else if (c->ending)
                shutdown(c->fd, SHUT_WR);
}

/* Reads once; false when the conn was freed by a callback. */
static bool read_some(struct conn *c)
{
        bool freed = false;
        ssize_t n = recv(c->fd, buf_reserve(&c->in, CONN_READ_SIZE), CONN_READ_SIZE, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return true;
        c->freed = &freed;
        if (n <= 0) {
                c->eof = true;
                c->failed = n < 0;
                c->broken |= c->failed;
                if (c->events->ended)
                        c->events->ended(c->userdata);
        } else {
                buf_commit(&c->in, (size_t)n);
                c->events->input(c->userdata);
        }
        if (!freed)
                c->freed = NULL;
        return !freed;
}

/*
 * The end of a finished connection.  Closing a unix socket with unread input resets it, and the peer may then see an error before
 * it has read our last words (unix(7), ECONNRESET): so our side is shut down, and what still comes is dropped until the peer
 * closes.
 */
static void linger(struct conn *c)
{
        ssize_t n;

        if (buf_size(&c->out) > 0 && !c->broken)
                return;
        if (!c->shut) {
                c->shut = true;
                shutdown(c->fd, SHUT_WR);
                c->paused = false;
                watch(c);
                loop_timer_arm(c->finish_timer, FINISH_TIMEOUT_MS);
        }
        do {
                buf_consume(&c->in, buf_size(&c->in));
                n = recv(c->fd, buf_reserve(&c->in, CONN_READ_SIZE), CONN_READ_SIZE, MSG_DONTWAIT);
                c->dropped += n > 0 ? (size_t)n : 0;
        } while ((n > 0 && c->dropped <= LINGER_MAX) || (n < 0 && errno == EINTR));
        if (n >= 0 || errno != EAGAIN || c->eof)
                conn_free(c);
}

static void on_ready(void *userdata, uint32_t events)
{
        struct conn *c = userdata;
        bool had_output = buf_size(&c->out) > 0;

        if (events & (EPOLLERR | EPOLLHUP)) {
                c->broken = true;
                c->paused = false; /* there is only the end left to read */
        }
        write_some(c);
        if (c->finishing) {
                linger(c);
                return;
        }
        if (had_output && buf_size(&c->out) == 0 && c->events->drained) {
                bool freed = false;
                c->freed = &freed;
                c->events->drained(c->userdata);
                if (freed)
                        return;
                c->freed = NULL;
        }
        if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && !c->paused) {
                if (c->eof) {
                        /* A hangup after the end was told: nothing can happen any more, so stop watching. */
                        loop_source_free(c->source);
                        c->source = NULL;
                        return;
                }
                if (!read_some(c))
                        return;
        }
        if (c->source)
                watch(c);
}

struct conn *conn_new(struct loop *loop, int owned_fd, const struct conn_events *events, void *userdata)
{
        struct conn *c = xcalloc(1, sizeof(*c));

        c->loop = loop;
        c->fd = owned_fd;
        c->events = events;
        c->userdata = userdata;
        c->source = loop_add_fd(loop, owned_fd, EPOLLIN, on_ready, c);
        return c;
}

void conn_free(struct conn *c)
{
        if (!c)
                return;
        if (c->freed)
                *c->freed = true;
        loop_source_free(c->source);
        loop_source_free(c->finish_timer);
        close(c->fd);
        buf_done(&c->in);
        buf_done(&c->out);
        free(c);
}

void conn_set_events(struct conn *c, const struct conn_events *events, void *userdata)
{
        c->events = events;
        c->userdata = userdata;
}

struct buf *conn_input(struct conn *c)
{
        return &c->in;
}

struct buf *conn_output(struct conn *c)
{
        return &c->out;
}

void conn_flush(struct conn *c)
{
        write_some(c);
        if (c->source)
                watch(c);
}

size_t conn_queued(const struct conn *c)
{
        return buf_size(&c->out);
}

bool conn_broken(const struct conn *c)
{
        return c->broken;
}

bool conn_failed(const struct conn *c)
{
        return c->failed;
}

void conn_end_output(struct conn *c)
{
        c->ending = true;
        conn_flush(c);
}

void conn_pause_input(struct conn *c, bool pause)
{
        if (c->paused == pause)
                return;
        c->paused = pause;
        if (c->source)
                watch(c);
}

static void on_finish_timeout(void *userdata)
{
        conn_free(userdata);
}

void conn_finish(struct conn *c)
{
        if (c->freed) {
                *c->freed = true; /* the running callback's caller must keep off */
                c->freed = NULL;
        }
        write_some(c);
        if (!c->source || c->eof || c->broken) {
                if (buf_size(&c->out) == 0 || !c->source) {
                        conn_free(c);
                        return;
                }
        }
        c->finishing = true;
        c->paused = true;
        c->finish_timer = loop_add_timer(c->loop, on_finish_timeout, c);
        watch(c);
        linger(c);
}
