/* SPDX-License-Identifier: MIT */
/*
 * The frame codec.  What must always hold: a decoder is at a frame boundary, at a sync record's beginning, or hunting; the last
 * frame stays in `in` (its payload is borrowed) and is consumed by the next call.
 */
#include "wire/frame.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_MAGIC 0x4956

const uint8_t SYNC_MAGIC[SYNC_MAGIC_SIZE] = {0xff, 0x43, 0x8f, 0xd8, 0x5a, 0xf8, 0x63, 0x0e,
                                             0x73, 0xf0, 0xd1, 0xb6, 0x35, 0x72, 0x28, 0x2a};

static void put_u32(uint8_t *at, uint32_t v)
{
        v = htole32(v);
        memcpy(at, &v, sizeof(v));
}

static uint32_t get_u32(const uint8_t *at)
{
        uint32_t v;

        memcpy(&v, at, sizeof(v));
        return le32toh(v);
}

void frame_put_header(uint8_t header[FRAME_HEADER_SIZE], enum frame_type type, uint32_t stream, uint8_t channel, size_t size)
{
        if (size > FRAME_PAYLOAD_MAX)
                abort();
        header[0] = FRAME_MAGIC & 0xff;
        header[1] = FRAME_MAGIC >> 8;
        header[2] = (uint8_t)type;
        header[3] = channel;
        put_u32(header + 4, stream);
        put_u32(header + 8, (uint32_t)size);
}

void frame_write(struct buf *out, enum frame_type type, uint32_t stream, uint8_t channel, const void *payload, size_t size)
{
        uint8_t header[FRAME_HEADER_SIZE];

        frame_put_header(header, type, stream, channel, size);
        buf_append(out, header, sizeof(header));
        buf_append(out, payload, size);
}

void frame_write_credit(struct buf *out, uint32_t stream, uint32_t bytes)
{
        uint8_t payload[4];

        put_u32(payload, bytes);
        frame_write(out, FRAME_CREDIT, stream, 0, payload, sizeof(payload));
}

uint32_t frame_credit(const struct frame *f)
{
        return f->type == FRAME_CREDIT && f->size == 4 ? get_u32(f->payload) : 0;
}

void frame_write_sync(struct buf *out, enum sync_kind kind, const uint8_t nonce[SYNC_NONCE_SIZE], bool pad)
{
        const size_t padding = FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX;
        uint8_t kind_bytes[4];

        if (pad) {
                memset(buf_reserve(out, padding), 0, padding);
                buf_commit(out, padding);
        }
        put_u32(kind_bytes, kind);
        buf_append(out, SYNC_MAGIC, SYNC_MAGIC_SIZE);
        buf_append(out, nonce, SYNC_NONCE_SIZE);
        buf_append(out, kind_bytes, sizeof(kind_bytes));
}

void frame_decoder_init(struct frame_decoder *d, bool port)
{
        *d = (struct frame_decoder){.port = port, .hunting = port};
}

void frame_decoder_done(struct frame_decoder *d)
{
        buf_done(&d->in);
}

void frame_decoder_push(struct frame_decoder *d, const void *data, size_t n)
{
        buf_append(&d->in, data, n);
}

static void drop(struct frame_decoder *d, size_t n)
{
        buf_consume(&d->in, n);
        d->dropped += n;
}

/* Drops what cannot be the beginning of a magic. True when the whole of one is at the head. */
static bool hunt(struct frame_decoder *d)
{
        const uint8_t *head = buf_head(&d->in), *found;
        size_t n = buf_size(&d->in), keep;

        if (!head)
                return false;
        found = memmem(head, n, SYNC_MAGIC, SYNC_MAGIC_SIZE);
        if (found) {
                drop(d, (size_t)(found - head));
                return true;
        }
        for (keep = MIN(n, SYNC_MAGIC_SIZE - 1); keep > 0; keep--)
                if (memcmp(head + n - keep, SYNC_MAGIC, keep) == 0)
                        break;
        drop(d, n - keep);
        return false;
}

/* The head is a magic. 1: a record; 0: needs more bytes; -1: its kind is none (cut off, or not ours). */
static int take_sync(struct frame_decoder *d, struct frame *ret)
{
        const uint8_t *head = buf_head(&d->in);
        uint32_t kind;

        if (!head || buf_size(&d->in) < SYNC_RECORD_SIZE)
                return 0;
        kind = get_u32(head + SYNC_MAGIC_SIZE + SYNC_NONCE_SIZE);
        if (kind < SYNC_REQUEST || kind > SYNC_PLEASE)
                return -1;
        *ret = (struct frame){.type = FRAME_SYNC, .stream = kind, .payload = head + SYNC_MAGIC_SIZE, .size = SYNC_NONCE_SIZE};
        d->taken = SYNC_RECORD_SIZE;
        d->hunting = false;
        return 1;
}

/* The head should be a frame. 1: it is, whole; 0: so far it is; -1: it is not. */
static int take_frame(struct frame_decoder *d, struct frame *ret)
{
        static const uint8_t magic[] = {FRAME_MAGIC & 0xff, FRAME_MAGIC >> 8};
        const uint8_t *head = buf_head(&d->in);
        size_t n = buf_size(&d->in), size;

        if (!head || n == 0)
                return 0;
        if (memcmp(head, magic, MIN(n, sizeof(magic))) != 0)
                return -1;
        if (n < FRAME_HEADER_SIZE)
                return 0;
        size = get_u32(head + 8);
        if (head[2] < FRAME_OPEN || head[2] > FRAME_CLOSE || head[3] > CHANNEL_STDERR || size > FRAME_PAYLOAD_MAX)
                return -1;
        if (n < FRAME_HEADER_SIZE + size)
                return 0;
        *ret = (struct frame){.type = head[2],
                              .channel = head[3],
                              .stream = get_u32(head + 4),
                              .payload = head + FRAME_HEADER_SIZE,
                              .size = size};
        d->taken = FRAME_HEADER_SIZE + size;
        return 1;
}

/* The head so far agrees with a magic (which may have begun only). */
static bool at_magic(const struct frame_decoder *d)
{
        const uint8_t *head = buf_head(&d->in);
        size_t n = buf_size(&d->in);

        return d->port && head && n > 0 && memcmp(head, SYNC_MAGIC, MIN(n, SYNC_MAGIC_SIZE)) == 0;
}

int frame_decoder_next(struct frame_decoder *d, struct frame *ret)
{
        buf_consume(&d->in, d->taken);
        d->taken = 0;
        for (;;) {
                int r;

                if (d->hunting && !hunt(d))
                        return 0;
                r = at_magic(d) ? take_sync(d, ret) : take_frame(d, ret);
                if (r >= 0)
                        return r;
                if (!d->port)
                        return -1;
                /* What stands here is no record: go on behind its first byte, where a true one may begin. */
                d->hunting = true;
                drop(d, 1);
        }
}
