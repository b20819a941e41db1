/* SPDX-License-Identifier: MIT */
/*
 * The daemon's end of the agent's port: sync, Hello, and a switch of streams.  It renumbers streams and passes frames on; credits
 * are granted end to end by the CLI and the agent, so that what waits here is never more than a window per stream and direction.
 */
#pragma once

#include "base/json.h"
#include "daemon/carrier.h"
#include "io/loop.h"
#include "wire/frame.h"

struct channel;
struct channel_stream;

/* Streams at once in one VM; the agent has the same limit. */
#define CHANNEL_STREAMS_MAX 256

struct channel_events {
        void (*hello)(void *userdata, struct json_object *parameters); /* after every sync */
        void (*lost)(void *userdata, const char *why);                 /* the agent is gone for now, or was not reached */
        void (*ended)(void *userdata, const struct error *why);        /* the port has ended, there will be no Hello any more */
};

/* Takes the carrier over and begins a sync, and again at each connection that the carrier makes. */
struct channel *channel_new(struct loop *loop, struct carrier *carrier, const struct channel_events *events, void *userdata);
void channel_free(struct channel *c);        /* every open stream is told that it is lost; NULL is fine */
bool channel_ready(const struct channel *c); /* Hello was said */

/* The guest was reset, and its agent is gone without having said so: every open stream is told `why`, and the next agent says
 * when it is there. NULL is fine. */
void channel_guest_reset(struct channel *c, const char *why);

struct channel_stream_events {
        void (*frame)(void *userdata, const struct frame *f); /* of this stream; a FRAME_CLOSE is the last one */
        void (*lost)(void *userdata, const char *why);        /* the stream is over, the agent did not end it */
        void (*drained)(void *userdata);                      /* the port's queue is empty again; may be NULL */
};

/* Opens a stream with a Varlink call (`call` is owned). NULL with ERR_STATE when the agent is not there or the limit is reached.
 */
struct channel_stream *channel_open(struct channel *c, struct json_object *call, const struct channel_stream_events *events,
                                    void *userdata, struct error *err);
void channel_send(struct channel_stream *s, enum frame_type type, uint8_t channel, const void *payload, size_t size);
void channel_grant(struct channel_stream *s, uint32_t bytes); /* CREDIT for what was taken */
size_t channel_queued(const struct channel_stream *s);        /* bytes that wait for the port */

/* Closes (tells the agent unless it closed first) and frees. Not needed after `lost` or a FRAME_CLOSE: then it only frees. */
void channel_close(struct channel_stream *s);
