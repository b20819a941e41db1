/* SPDX-License-Identifier: MIT */
/*
 * What must always hold: frames enter `out` whole; `out` is only ever cut by the port taking bytes off its head, or emptied by a
 * sync (the host's decoder then hunts for our answer, so a frame that was under way may stay cut).  All work that follows from
 * events is done in a turn, once per round of the loop: write, let the pumps fill up, write again.
 */
#include "agent/mux.h"

#include "agent/mux_private.h"
#include "base/log.h"
#include "wire/varlink.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* Read from the port in one go before other sources get their turn. */
#define INPUT_AT_ONCE (256u * 1024)
#define READ_SIZE     (64u * 1024)

static void on_turn(void *userdata);

/* In the next round of the loop, so that what several events bring goes out together. */
static void turn_soon(struct mux *mux)
{
        if (mux->turn_posted)
                return;
        mux->turn_posted = true;
        loop_post(mux->loop, on_turn, mux);
}

struct stream *mux_stream_find(struct mux *mux, uint32_t id)
{
        for (size_t i = 0; i < mux->n_streams; i++)
                if (mux->streams[i]->id == id)
                        return mux->streams[i];
        return NULL;
}

struct stream *mux_stream_new(struct mux *mux, uint32_t id)
{
        struct stream *s = xcalloc(1, sizeof(*s));

        s->mux = mux;
        s->id = id;
        s->credit = s->window = FRAME_WINDOW;
        mux->streams[mux->n_streams++] = s;
        return s;
}

void mux_stream_free(struct stream *s)
{
        struct mux *mux = s->mux;

        for (size_t i = 0; i < mux->n_streams; i++)
                if (mux->streams[i] == s) {
                        mux->streams[i] = mux->streams[--mux->n_streams];
                        break;
                }
        free(s);
}

static void stream_lost(struct stream *s)
{
        s->ops->closed(s->userdata);
        mux_stream_free(s);
}

static void send_frame(struct mux *mux, enum frame_type type, uint32_t stream, uint8_t channel, const void *payload, size_t n)
{
        frame_write(&mux->out, type, stream, channel, payload, n);
        turn_soon(mux);
}

void mux_send_message(struct mux *mux, uint32_t stream, struct json_object *message)
{
        autojson struct json_object *owned = message;
        const char *line = json_line(owned);

        send_frame(mux, FRAME_MESSAGE, stream, 0, line, strlen(line));
}

void stream_take(struct stream *s, const struct stream_ops *ops, void *userdata)
{
        s->ops = ops;
        s->userdata = userdata;
}

void stream_reply(struct stream *s, struct json_object *message)
{
        mux_send_message(s->mux, s->id, message);
}

void stream_close(struct stream *s)
{
        send_frame(s->mux, FRAME_CLOSE, s->id, 0, NULL, 0);
        mux_stream_free(s);
}

void stream_fail(struct stream *s, const struct error *error)
{
        stream_reply(s, varlink_error_new(error));
        stream_close(s);
}

void stream_grant(struct stream *s, size_t n)
{
        s->ungranted += (uint32_t)n;
        if (s->ungranted < FRAME_GRANT_MIN)
                return;
        frame_write_credit(&s->mux->out, s->id, s->ungranted);
        s->window += s->ungranted;
        s->ungranted = 0;
        turn_soon(s->mux);
}

uint8_t *stream_data_place(struct stream *s, size_t *ret_max)
{
        if (s->credit == 0)
                return NULL;
        *ret_max = MIN(s->credit, FRAME_PAYLOAD_MAX);
        return buf_reserve(&s->mux->out, FRAME_HEADER_SIZE + *ret_max) + FRAME_HEADER_SIZE;
}

void stream_data_sent(struct stream *s, uint8_t channel, size_t n)
{
        struct buf *out = &s->mux->out;

        if (n == 0)
                return;
        frame_put_header(buf_reserve(out, FRAME_HEADER_SIZE), FRAME_DATA, s->id, channel, n);
        buf_commit(out, FRAME_HEADER_SIZE + n);
        s->credit -= (uint32_t)n;
        turn_soon(s->mux);
}

void stream_eof(struct stream *s, uint8_t channel)
{
        send_frame(s->mux, FRAME_EOF, s->id, channel, NULL, 0);
}

void mux_enlist(struct mux *mux, struct pump *pump)
{
        if (pump->enlisted)
                return;
        pump->enlisted = true;
        TAILQ_INSERT_TAIL(&mux->pumps, pump, link);
        turn_soon(mux);
}

void mux_delist(struct mux *mux, struct pump *pump)
{
        if (pump->enlisted)
                TAILQ_REMOVE(&mux->pumps, pump, link);
        pump->enlisted = false;
}

static void lose_all_streams(struct mux *mux)
{
        while (mux->n_streams > 0)
                stream_lost(mux->streams[0]);
}

void mux_say_hello(struct mux *mux)
{
        if (mux->synced && !mux->ended)
                mux_send_message(mux, 0, mux->handler->hello(mux->userdata));
}

static void handle_sync(struct mux *mux, const struct frame *f)
{
        if (f->stream != SYNC_REQUEST)
                return;
        if (mux->n_streams > 0)
                log_info("the host has connected anew: %zu streams end", mux->n_streams);
        lose_all_streams(mux);
        buf_consume(&mux->out, buf_size(&mux->out));
        frame_write_sync(&mux->out, SYNC_ANSWER, f->payload, false);
        mux->synced = true;
        mux_say_hello(mux);
}

static void handle_open(struct mux *mux, const struct frame *f)
{
        struct error err = ERROR_INIT;

        if (f->stream == 0 || mux_stream_find(mux, f->stream)) {
                log_warning("the host opened stream %u, which is in use", f->stream);
                return;
        }
        if (mux->n_streams == STREAMS_MAX) {
                error_set(&err, ERR_STATE, "%d commands are running in the VM already; wait until one has ended", STREAMS_MAX);
                mux_send_message(mux, f->stream, varlink_error_new(&err));
                send_frame(mux, FRAME_CLOSE, f->stream, 0, NULL, 0);
                return;
        }
        mux->handler->open(mux->userdata, mux_stream_new(mux, f->stream), f->payload, f->size);
}

/* The host broke the protocol on a stream: only that one ends. */
static void stream_break(struct stream *s, const char *what)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_PROTOCOL, "stream %u: %s", s->id, what);
        log_warning("%s", err.message);
        s->ops->closed(s->userdata);
        stream_fail(s, &err);
}

static void handle_data(struct stream *s, const struct frame *f)
{
        if (f->channel != CHANNEL_STDIN) {
                stream_break(s, "data for a channel that is not stdin");
                return;
        }
        if (f->size > s->window) {
                stream_break(s, "more data than credit");
                return;
        }
        s->window -= (uint32_t)f->size;
        if (s->ops->data)
                s->ops->data(s->userdata, f->payload, f->size);
}

static void handle_credit(struct stream *s, const struct frame *f)
{
        uint32_t bytes = frame_credit(f);

        if (bytes == 0 || bytes > FRAME_WINDOW - s->credit) {
                stream_break(s, "credit of more than a window");
                return;
        }
        s->credit += bytes;
        if (s->ops->credit)
                s->ops->credit(s->userdata);
}

static void handle_message(struct stream *s, const struct frame *f)
{
        struct error err = ERROR_INIT;
        autojson struct json_object *message = json_parse((const char *)f->payload, f->size, &err);

        if (!message)
                stream_break(s, err.message);
        else if (s->ops->message)
                s->ops->message(s->userdata, message);
        else
                log_warning("stream %u: a message that nobody waits for: %s", s->id, json_line(message));
}

static void handle_frame(struct mux *mux, const struct frame *f)
{
        struct stream *s;

        if (f->type == FRAME_SYNC) {
                handle_sync(mux, f);
                return;
        }
        if (!mux->synced)
                return;
        if (f->type == FRAME_OPEN) {
                handle_open(mux, f);
                return;
        }
        s = mux_stream_find(mux, f->stream);
        if (!s)
                return; /* it ended while this was on its way */
        switch (f->type) {
        case FRAME_DATA:
                handle_data(s, f);
                break;
        case FRAME_EOF:
                if (s->ops->eof)
                        s->ops->eof(s->userdata);
                break;
        case FRAME_CREDIT:
                handle_credit(s, f);
                break;
        case FRAME_MESSAGE:
                handle_message(s, f);
                break;
        case FRAME_CLOSE:
                stream_lost(s);
                break;
        default:
                break;
        }
}

static void port_ended(struct mux *mux)
{
        mux->ended = true;
        loop_source_free(take_ptr(mux->source));
        loop_source_free(take_ptr(mux->out_source));
        lose_all_streams(mux);
        mux->handler->ended(mux->userdata);
}

/* The end is made known by reading only, so that what the host sent before it left is heard. */
static void write_out(struct mux *mux)
{
        while (mux->writable && buf_size(&mux->out) > 0) {
                ssize_t n = port_write(mux->port, buf_head(&mux->out), buf_size(&mux->out));

                buf_consume(&mux->out, n < 0 ? buf_size(&mux->out) : (size_t)n);
                mux->writable = n > 0;
        }
}

static void read_in(struct mux *mux)
{
        for (size_t done = 0; mux->readable && done < INPUT_AT_ONCE && buf_size(&mux->out) < MUX_OUT_MAX;) {
                struct frame f;
                ssize_t n = port_read(mux->port, buf_reserve(&mux->decoder.in, READ_SIZE), READ_SIZE);

                if (n < 0) {
                        port_ended(mux);
                        return;
                }
                if (n == 0) {
                        mux->readable = false;
                        return;
                }
                done += (size_t)n;
                buf_commit(&mux->decoder.in, (size_t)n);
                while (frame_decoder_next(&mux->decoder, &f) == 1)
                        handle_frame(mux, &f);
        }
}

static void run_pumps(struct mux *mux)
{
        struct pump *pump;

        while (buf_size(&mux->out) < MUX_OUT_ROOM && (pump = TAILQ_FIRST(&mux->pumps))) {
                mux_delist(mux, pump);
                pump->fn(pump);
        }
}

static void on_turn(void *userdata)
{
        struct mux *mux = userdata;

        mux->turn_posted = false;
        if (mux->ended)
                return;
        write_out(mux);
        run_pumps(mux);
        write_out(mux);
        if (mux->readable)
                read_in(mux);
        if (mux->ended)
                return;
        if (mux->readable && buf_size(&mux->out) < MUX_OUT_MAX)
                turn_soon(mux);
        if (!TAILQ_EMPTY(&mux->pumps) && buf_size(&mux->out) < MUX_OUT_ROOM)
                turn_soon(mux);
}

static void on_port(void *userdata, uint32_t events)
{
        struct mux *mux = userdata;

        /* Whatever the edge says, both are tried: trying is how one learns (a virtio port says EPOLLHUP and more). */
        (void)events;
        mux->readable = mux->writable = true;
        turn_soon(mux);
}

struct mux *mux_make(struct loop *loop, struct port *port, const struct mux_handler *handler, void *userdata)
{
        struct mux *mux = xcalloc(1, sizeof(*mux));

        mux->loop = loop;
        mux->port = port;
        mux->handler = handler;
        mux->userdata = userdata;
        TAILQ_INIT(&mux->pumps);
        frame_decoder_init(&mux->decoder, true);
        mux->source = loop_add_fd(loop, port->fd, EPOLLIN | EPOLLOUT | EPOLLET, on_port, mux);
        if (port->out != port->fd)
                mux->out_source = loop_add_fd(loop, port->out, EPOLLOUT | EPOLLET, on_port, mux);
        return mux;
}

struct mux *mux_new(struct loop *loop, struct port *port, const struct mux_handler *handler, void *userdata)
{
        static const uint8_t no_nonce[SYNC_NONCE_SIZE];
        struct mux *mux = mux_make(loop, port, handler, userdata);

        frame_write_sync(&mux->out, SYNC_PLEASE, no_nonce, true);
        return mux;
}

uint32_t stream_id(const struct stream *s)
{
        return s->id;
}

void mux_flush(struct mux *mux)
{
        write_out(mux);
}

void mux_free(struct mux *mux)
{
        if (!mux)
                return;
        lose_all_streams(mux);
        loop_source_free(mux->source);
        loop_source_free(mux->out_source);
        frame_decoder_done(&mux->decoder);
        buf_done(&mux->out);
        free(mux);
}
