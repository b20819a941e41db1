/* SPDX-License-Identifier: MIT */
/*
 * The multiplexer's frames: bytes in, frames out, no fd.  The same codec runs on the agent's port (daemon <-> agent) and
 * on an upgraded client connection (CLI <-> daemon); the daemon only renumbers streams between the two.
 *
 * Frame, little endian:  0 magic 0x4956 | 2 type | 3 channel | 4 stream | 8 payload size (at most FRAME_PAYLOAD_MAX) | 12 payload
 * Sync record:           0 SYNC_MAGIC (16 bytes) | 16 nonce (16 bytes) | 32 kind (enum sync_kind, 4 bytes, little endian)
 *
 * Streams.  The host opens one with OPEN, whose payload is a Varlink call as JSON (without NUL, in one frame).  The answers are
 * MESSAGE frames with Varlink replies.  DATA and EOF carry a channel (0 stdin, 1 stdout, 2 stderr).  CLOSE ends the stream in
 * both directions and is not answered; whatever comes for a stream that is not open is dropped, so the opener never uses a
 * number twice between two syncs.  Stream 0 is the peer itself (Hello).
 *
 * Credits.  Each direction of a stream starts with FRAME_WINDOW bytes, shared by its channels; DATA spends its payload
 * size, CREDIT (payload: u32 bytes) gives back what the receiver has passed on.  They are granted end to end, by the CLI and
 * the agent: the daemon in the middle therefore never holds more than a window per stream and direction.  A receiver may
 * gather what it grants, up to FRAME_GRANT_MIN: more than half a window is then always on its way or to be spent.
 *
 * Sync.  On the port either side may have vanished in mid-frame and bytes stay queued.  A new connection therefore begins
 * with a maximal frame's worth of zero bytes (which completes whatever frame the peer is in the middle of, and is no valid
 * header) and a sync record; a decoder that meets an invalid header drops everything up to the next SYNC_MAGIC.
 * SYNC_REQUEST (host, fresh random nonce) is answered by SYNC_ANSWER (agent, same nonce) and the agent's Hello; SYNC_PLEASE
 * (agent, nonce 0) says that the agent has just started and wants a SYNC_REQUEST.  A sync ends all streams.
 * The host begins with a new decoder at every request and believes nothing before the answer with its latest nonce: a stale
 * payload that holds a magic may look like a record, but cannot know the nonce.  A frame that the padding completed has its
 * missing bytes as zeros; the sync that follows ends its stream.
 */
#pragma once

#include "base/util.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_SIZE 12
#define FRAME_PAYLOAD_MAX (64u * 1024 - FRAME_HEADER_SIZE) /* a frame is 64 KiB at most */
#define FRAME_WINDOW      (256u * 1024)
#define FRAME_GRANT_MIN   (FRAME_WINDOW / 4)
#define SYNC_MAGIC_SIZE   16
#define SYNC_NONCE_SIZE   16
#define SYNC_RECORD_SIZE  36

/* Random once and for all. Its first byte is never that of a frame. */
extern const uint8_t SYNC_MAGIC[SYNC_MAGIC_SIZE];

enum frame_type {
        FRAME_OPEN = 1,
        FRAME_MESSAGE,
        FRAME_DATA,
        FRAME_EOF,
        FRAME_CREDIT,
        FRAME_CLOSE,
        FRAME_SYNC, /* never on the wire as a frame: how the decoder reports a sync record */
};

enum frame_channel { CHANNEL_STDIN = 0, CHANNEL_STDOUT = 1, CHANNEL_STDERR = 2 };

enum sync_kind { SYNC_REQUEST = 1, SYNC_ANSWER = 2, SYNC_PLEASE = 3 };

struct frame {
        enum frame_type type;
        uint8_t channel;
        uint32_t stream;        /* FRAME_SYNC: the enum sync_kind */
        const uint8_t *payload; /* borrowed from the decoder until its next call; FRAME_SYNC: the nonce */
        size_t size;
};

/* Appends a frame. A size above FRAME_PAYLOAD_MAX is an error of the caller's program, and aborts. */
void frame_write(struct buf *out, enum frame_type type, uint32_t stream, uint8_t channel, const void *payload, size_t size);
void frame_write_credit(struct buf *out, uint32_t stream, uint32_t bytes);
uint32_t frame_credit(const struct frame *f); /* of a FRAME_CREDIT; 0 when malformed */

/* Only the header, for who reads a payload straight to its place behind it. */
void frame_put_header(uint8_t header[FRAME_HEADER_SIZE], enum frame_type type, uint32_t stream, uint8_t channel, size_t size);

/* The padding and the record that begin a connection (padding only when `pad`). */
void frame_write_sync(struct buf *out, enum sync_kind kind, const uint8_t nonce[SYNC_NONCE_SIZE], bool pad);

struct frame_decoder {
        struct buf in;
        bool port;        /* syncs are possible; garbage is skipped. Otherwise garbage is an error */
        bool hunting;     /* dropping everything up to the next SYNC_MAGIC */
        size_t taken;     /* bytes of `in` that the last frame occupied */
        uint64_t dropped; /* bytes skipped while hunting, in all */
};

/* On a port a decoder begins hunting; on a client connection (port false) it begins with a frame. */
void frame_decoder_init(struct frame_decoder *d, bool port);
void frame_decoder_done(struct frame_decoder *d);

/* Gives it n more bytes. To save the copy, read straight into d->in with buf_reserve() and buf_commit(). */
void frame_decoder_push(struct frame_decoder *d, const void *data, size_t n);

/* 1: *ret is the next frame; 0: needs more bytes; -1: garbage (only when not a port). Bounded memory: it never keeps more
 * than one frame beyond what was pushed, so push at most 64 KiB at a time and drain before the next push. */
int frame_decoder_next(struct frame_decoder *d, struct frame *ret);
