/* SPDX-License-Identifier: MIT */
/*
 * The agent's end of the port: sync, streams, credits, and the one queue of bytes to the host (wire/frame.h).
 *
 * Fairness and bounds.  Replies and credits are queued at once.  Data is only read from a command when the queue has room:
 * whoever has data enlists a pump, and pumps take turns, a frame each.  So the queue holds little more than MUX_OUT_ROOM, and a
 * command that floods holds up nobody.  When the host does not read and still asks for more, the port is not read either
 * (MUX_OUT_MAX).
 */
#pragma once

#include "agent/port.h"
#include "base/json.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define STREAMS_MAX  256            /* a build machine's worth; each may hold a window of input and three pipes */
#define MUX_OUT_ROOM (256u * 1024)  /* above it no data is read from commands: four frames keep the port busy */
#define MUX_OUT_MAX  (1024u * 1024) /* above it the port is not read: replies alone never come near */

struct mux;
struct stream;

/* What the owner of a stream is told. All but `closed` may be NULL: data is dropped then, and never granted again. */
struct stream_ops {
        void (*data)(void *userdata, const uint8_t *data, size_t n); /* for stdin; to be given back with stream_grant() */
        void (*eof)(void *userdata);                                 /* nothing more for stdin */
        void (*message)(void *userdata, struct json_object *message);
        void (*credit)(void *userdata); /* there is credit again */
        void (*closed)(void *userdata); /* by the host or by a sync: the stream is gone when this returns */
};

struct mux_handler {
        /* An OPEN. Ends the stream, or takes it with stream_take(), before it returns. */
        void (*open)(void *userdata, struct stream *stream, const uint8_t *call, size_t n);
        struct json_object *(*hello)(void *userdata); /* the call that follows a sync; owned by the mux then */
        void (*ended)(void *userdata);                /* the port is gone for good; all streams were closed before */
};

/* The port and the handler stay the caller's. Says SYNC_PLEASE to the host. */
struct mux *mux_new(struct loop *loop, struct port *port, const struct mux_handler *handler, void *userdata);
void mux_free(struct mux *mux); /* closes all streams; only right before loop_free(); NULL is fine */

/* For a successor that is executed in our place (agent/handover.h): all that the mux is, as an owned object and in `bytes`; and a
 * mux made of that, NULL when it is none. Each of its streams is then taken, with mux_resume_stream() and stream_take(); the
 * others are ended by mux_resumed(), which also says Hello. */
struct json_object *mux_save(const struct mux *mux, struct buf *bytes);
struct mux *mux_resume(struct loop *loop, struct port *port, const struct mux_handler *handler, void *userdata,
                       struct json_object *saved, const struct buf *bytes, struct error *err);
struct stream *mux_resume_stream(struct mux *mux, uint32_t id); /* NULL when there is none */
void mux_resumed(struct mux *mux);
uint32_t stream_id(const struct stream *stream);

/* Says Hello again, because something in it has changed; the host hears it like the first one. Nothing before the first sync. */
void mux_say_hello(struct mux *mux);

/* Writes what the port takes right now: before the program ends. */
void mux_flush(struct mux *mux);

/* The stream's events go to `ops` from now on. */
void stream_take(struct stream *stream, const struct stream_ops *ops, void *userdata);

/* Sends a reply. `message` is owned. */
void stream_reply(struct stream *stream, struct json_object *message);
/* Ends the stream from our side: after this it is gone, without `closed`. */
void stream_close(struct stream *stream);
/* A reply that is an error, and the end. */
void stream_fail(struct stream *stream, const struct error *error);

/* n bytes of stdin were passed on or dropped: the host may send as many. */
void stream_grant(struct stream *stream, size_t n);

/* Where data for the host goes: up to *ret_max bytes (a frame, or what credit is left), to be followed by stream_data_sent()
 * before anything else is sent. NULL without credit: `credit` will tell. */
uint8_t *stream_data_place(struct stream *stream, size_t *ret_max);
void stream_data_sent(struct stream *stream, uint8_t channel, size_t n); /* n may be 0: nothing is sent */
void stream_eof(struct stream *stream, uint8_t channel);

/* Takes turns: fn is called once per enlisting, when there is room for a frame. */
struct pump {
        void (*fn)(struct pump *pump);
        bool enlisted;
        TAILQ_ENTRY(pump) link;
};
void mux_enlist(struct mux *mux, struct pump *pump); /* enlisted already: nothing happens */
void mux_delist(struct mux *mux, struct pump *pump);
