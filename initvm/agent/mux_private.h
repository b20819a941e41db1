/* SPDX-License-Identifier: MIT */
/* What mux.c and mux_handover.c share. */
#pragma once

#include "agent/mux.h"
#include "wire/frame.h"

struct stream {
        struct mux *mux;
        uint32_t id;
        uint32_t credit;    /* what we may send */
        uint32_t window;    /* what the host may send */
        uint32_t ungranted; /* passed on, not yet given back: FRAME_GRANT_MIN are gathered */
        const struct stream_ops *ops;
        void *userdata;
};

struct mux {
        struct loop *loop;
        struct port *port;
        const struct mux_handler *handler;
        void *userdata;
        struct loop_source *source;
        struct loop_source *out_source; /* when the port is written elsewhere than it is read */
        struct frame_decoder decoder;
        struct buf out;
        bool readable; /* the port may have more for us: no edge will say so again */
        bool writable;
        bool synced; /* the host said SYNC_REQUEST: frames count */
        bool ended;
        bool turn_posted;
        TAILQ_HEAD(, pump) pumps;
        struct stream *streams[STREAMS_MAX];
        size_t n_streams;
};

struct stream *mux_stream_find(struct mux *mux, uint32_t id); /* NULL when there is none */
struct stream *mux_stream_new(struct mux *mux, uint32_t id);
void mux_stream_free(struct stream *s);
void mux_send_message(struct mux *mux, uint32_t stream, struct json_object *owned);
struct mux *mux_make(struct loop *loop, struct port *port, const struct mux_handler *handler, void *userdata);
