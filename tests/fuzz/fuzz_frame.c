/* SPDX-License-Identifier: MIT */
/*
 * The decoder on any bytes, cut anywhere: the first byte says port or not and how large the pieces are.  Checked beside memory
 * safety: what comes out does not depend on the cuts, and memory stays bounded.
 */
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything that the decoder reports, as bytes. */
static int decode(bool port, const uint8_t *data, size_t size, size_t piece, struct buf *report)
{
        struct frame_decoder d;
        int r = 0;

        frame_decoder_init(&d, port);
        for (size_t at = 0; at < size && r >= 0; at += piece) {
                struct frame f;

                frame_decoder_push(&d, data + at, MIN(piece, size - at));
                while ((r = frame_decoder_next(&d, &f)) == 1) {
                        if (f.size > FRAME_PAYLOAD_MAX || (!port && f.type == FRAME_SYNC) || f.type < FRAME_OPEN ||
                            f.type > FRAME_SYNC)
                                abort();
                        buf_printf(report, "%d %u %u %zu %u:", f.type, f.channel, f.stream, f.size, frame_credit(&f));
                        buf_append(report, f.payload, f.size);
                }
                if (buf_size(&d.in) >= 64 * 1024 + piece)
                        abort();
        }
        frame_decoder_done(&d);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        autobuf struct buf whole = {0}, cut = {0};
        bool port;
        int r;

        if (size < 1)
                return 0;
        port = data[0] & 1;
        r = decode(port, data + 1, size - 1, 64 * 1024, &whole);
        if (decode(port, data + 1, size - 1, (data[0] >> 1) + 1, &cut) != r)
                abort();
        if (buf_size(&whole) != buf_size(&cut) ||
            (buf_size(&whole) > 0 && memcmp(buf_head(&whole), buf_head(&cut), buf_size(&cut)) != 0))
                abort();
        return 0;
}
