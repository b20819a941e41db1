/* SPDX-License-Identifier: MIT */
/*
 * A connected socket with an input and an output buffer, driven by the loop.  The owner of a conn decides what the bytes
 * mean; limits are the owner's as well: it looks at conn_queued() and stops its own sources, or pauses reading here.
 */
#pragma once

#include "base/util.h"
#include "io/loop.h"

#include <stdbool.h>

struct conn;

struct conn_events {
        /* New bytes are in conn_input(); take what is whole with buf_consume(). */
        void (*input)(void *userdata);
        /* The peer closed its writing side, or the connection failed. Called once; writing may still be possible. */
        void (*ended)(void *userdata);
        /* The output buffer became empty. May be NULL. */
        void (*drained)(void *userdata);
};

#define CONN_READ_SIZE (64u * 1024) /* read at once: one frame */

struct conn *conn_new(struct loop *loop, int owned_fd, const struct conn_events *events, void *userdata);
void conn_free(struct conn *c); /* closes; queued output is dropped; NULL is fine; also from its own callbacks */

/* Another owner takes over (an upgraded connection). `events` must live as long as the conn. */
void conn_set_events(struct conn *c, const struct conn_events *events, void *userdata);

struct buf *conn_input(struct conn *c);
struct buf *conn_output(struct conn *c); /* append here, then conn_flush() */
void conn_flush(struct conn *c);         /* writes what can be written, watches for the rest */
size_t conn_queued(const struct conn *c);
bool conn_broken(const struct conn *c); /* writing failed: output is dropped from now on */
bool conn_failed(const struct conn *c); /* reading failed: the peer did not end in order (a reset) */
void conn_end_output(struct conn *c);   /* tells the peer that nothing more comes, once the queued output is out */
void conn_pause_input(struct conn *c, bool pause);

/* Frees the connection once the queued output is out, however slowly the peer reads, or can no longer be. The owner must not
 * touch it afterwards. */
void conn_finish(struct conn *c);
