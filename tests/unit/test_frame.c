/* SPDX-License-Identifier: MIT */
#include "wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a decoder is expected to report: a frame, its payload copied (NULL: not compared). */
struct expected {
        enum frame_type type;
        uint32_t stream;
        uint8_t channel;
        const void *payload;
        size_t size;
};

static const uint8_t nonce_a[SYNC_NONCE_SIZE] = "nonce a 1234567";
static const uint8_t nonce_b[SYNC_NONCE_SIZE] = "nonce b 1234567";

static void assert_frame(const struct frame *f, const struct expected *e)
{
        assert_int_equal(f->type, e->type);
        assert_int_equal(f->stream, e->stream);
        assert_int_equal(f->channel, e->channel);
        assert_int_equal(f->size, e->size);
        if (e->size > 0)
                assert_memory_equal(f->payload, e->payload, e->size);
}

/* Pushes from exact heap copies, so that ASan sees a read of one byte too many. */
static void push(struct frame_decoder *d, const uint8_t *data, size_t n)
{
        uint8_t *copy = malloc(n ? n : 1);

        memcpy(copy, data, n);
        frame_decoder_push(d, copy, n);
        free(copy);
}

static size_t drain(struct frame_decoder *d, const struct expected *expected, size_t at, size_t n_expected)
{
        struct frame f;
        int r;

        while ((r = frame_decoder_next(d, &f)) == 1) {
                assert_true(at < n_expected);
                assert_frame(&f, &expected[at++]);
        }
        assert_int_equal(r, 0);
        return at;
}

/* The whole, then cut into two at every offset, then byte by byte. */
static void check_all_splits(const struct buf *wire, bool port, const struct expected *expected, size_t n_expected)
{
        const uint8_t *data = buf_head(wire);
        size_t n = buf_size(wire);

        for (size_t cut = 0; cut <= n; cut++) {
                struct frame_decoder d;
                size_t at;

                frame_decoder_init(&d, port);
                push(&d, data, cut);
                at = drain(&d, expected, 0, n_expected);
                push(&d, data + cut, n - cut);
                at = drain(&d, expected, at, n_expected);
                assert_int_equal(at, n_expected);
                frame_decoder_done(&d);
        }

        struct frame_decoder d;
        size_t at = 0;
        frame_decoder_init(&d, port);
        for (size_t i = 0; i < n; i++) {
                push(&d, data + i, 1);
                at = drain(&d, expected, at, n_expected);
        }
        assert_int_equal(at, n_expected);
        frame_decoder_done(&d);
}

static void test_layout(void **state)
{
        static const uint8_t frame[] = {0x56, 0x49, FRAME_DATA, CHANNEL_STDOUT, 4, 3, 2, 1, 2, 0, 0, 0, 'h', 'i'};
        static const uint8_t credit[] = {0x56, 0x49, FRAME_CREDIT, 0, 7, 0, 0, 0, 4, 0, 0, 0, 0x78, 0x56, 0x34, 0x12};
        autobuf struct buf b = {0};
        (void)state;

        frame_write(&b, FRAME_DATA, 0x01020304, CHANNEL_STDOUT, "hi", 2);
        assert_int_equal(buf_size(&b), sizeof(frame));
        assert_memory_equal(buf_head(&b), frame, sizeof(frame));
        buf_consume(&b, buf_size(&b));
        frame_write_credit(&b, 7, 0x12345678);
        assert_int_equal(buf_size(&b), sizeof(credit));
        assert_memory_equal(buf_head(&b), credit, sizeof(credit));
        buf_consume(&b, buf_size(&b));
        frame_write_sync(&b, SYNC_ANSWER, nonce_a, false);
        assert_int_equal(buf_size(&b), SYNC_RECORD_SIZE);
        assert_memory_equal(buf_head(&b), SYNC_MAGIC, SYNC_MAGIC_SIZE);
        assert_int_equal(SYNC_MAGIC[0], 0xff);
        assert_memory_equal(buf_head(&b) + 16, nonce_a, SYNC_NONCE_SIZE);
        assert_memory_equal(buf_head(&b) + 32, "\x02\0\0\0", 4);
        buf_consume(&b, buf_size(&b));
        frame_write_sync(&b, SYNC_REQUEST, nonce_a, true);
        assert_int_equal(buf_size(&b), FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX + SYNC_RECORD_SIZE);
        for (size_t i = 0; i < FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX; i++)
                assert_int_equal(buf_head(&b)[i], 0);
}

static void test_every_type(void **state)
{
        static const struct expected expected[] = {
                {FRAME_OPEN, 1, 0, "{\"method\":\"x\"}", 14}, {FRAME_MESSAGE, 1, 0, "{}", 2},
                {FRAME_DATA, 1, CHANNEL_STDIN, "in", 2},      {FRAME_DATA, UINT32_MAX, CHANNEL_STDOUT, "VIVI\xff\x43\x8f", 7},
                {FRAME_DATA, 0, CHANNEL_STDERR, "", 0},       {FRAME_EOF, 5, CHANNEL_STDERR, NULL, 0},
                {FRAME_CREDIT, 5, 0, "\0\0\1\0", 4},          {FRAME_CLOSE, 5, 0, NULL, 0},
        };
        autobuf struct buf b = {0};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
                frame_write(&b, expected[i].type, expected[i].stream, expected[i].channel, expected[i].payload, expected[i].size);
        check_all_splits(&b, false, expected, ARRAY_SIZE(expected));
}

/* Garbage, a sync, frames, a cut frame, garbage with a false start of a magic, a sync in the middle of nothing, syncs in a row.
 */
static void test_port_script(void **state)
{
        static const struct expected expected[] = {
                {FRAME_SYNC, SYNC_REQUEST, 0, nonce_a, SYNC_NONCE_SIZE},
                {FRAME_OPEN, 1, 0, "{}", 2},
                {FRAME_DATA, 1, 0, "data", 4},
                {FRAME_SYNC, SYNC_PLEASE, 0, nonce_b, SYNC_NONCE_SIZE}, /* at a frame boundary */
                {FRAME_CLOSE, 9, 0, NULL, 0},
                {FRAME_SYNC, SYNC_ANSWER, 0, nonce_a, SYNC_NONCE_SIZE}, /* after a cut frame's garbage */
                {FRAME_SYNC, SYNC_REQUEST, 0, nonce_b, SYNC_NONCE_SIZE},
                {FRAME_EOF, 2, 0, NULL, 0},
                {FRAME_SYNC, SYNC_REQUEST, 0, nonce_a, SYNC_NONCE_SIZE}, /* after a cut record */
                {FRAME_MESSAGE, 3, 0, "{}", 2},
        };
        autobuf struct buf b = {0};
        size_t records[2];
        (void)state;

        frame_write(&b, FRAME_DATA, 1, 0, "lost: before any sync", 21);
        buf_append(&b, SYNC_MAGIC, 15); /* a magic that begins again before its end */
        frame_write_sync(&b, SYNC_REQUEST, nonce_a, false);
        frame_write(&b, FRAME_OPEN, 1, 0, "{}", 2);
        frame_write(&b, FRAME_DATA, 1, 0, "data", 4);
        frame_write_sync(&b, SYNC_PLEASE, nonce_b, false);
        frame_write(&b, FRAME_CLOSE, 9, 0, NULL, 0);
        buf_append(&b, "VI\x09", 3); /* no such type */
        frame_write(&b, FRAME_DATA, 1, 0, "lost: while hunting", 19);
        buf_append(&b, SYNC_MAGIC, SYNC_MAGIC_SIZE);
        buf_append(&b, "a nonce of 16 by\x09\0\0\0", 20); /* no such kind */
        frame_write_sync(&b, SYNC_ANSWER, nonce_a, false);
        frame_write_sync(&b, SYNC_REQUEST, nonce_b, false);
        frame_write(&b, FRAME_EOF, 2, 0, NULL, 0);
        records[0] = buf_size(&b);
        frame_write_sync(&b, SYNC_REQUEST, nonce_b, false);
        records[1] = buf_size(&b);
        b.end -= (records[1] - records[0]) / 2;
        frame_write_sync(&b, SYNC_REQUEST, nonce_a, false);
        frame_write(&b, FRAME_MESSAGE, 3, 0, "{}", 2);
        check_all_splits(&b, true, expected, ARRAY_SIZE(expected));
}

/* A record cut at any offset, with or without padding behind it, never hides the next one. */
static void test_cut_record(void **state)
{
        (void)state;
        for (size_t cut = 0; cut < SYNC_RECORD_SIZE; cut++)
                for (int pad = 0; pad < 2; pad++) {
                        autobuf struct buf b = {0};
                        struct frame_decoder d;
                        struct frame f;
                        bool seen = false;

                        frame_write_sync(&b, SYNC_PLEASE, nonce_a, false);
                        b.end -= SYNC_RECORD_SIZE - cut;
                        frame_write_sync(&b, SYNC_REQUEST, nonce_b, pad);
                        frame_decoder_init(&d, true);
                        push(&d, buf_head(&b), buf_size(&b));
                        while (frame_decoder_next(&d, &f) == 1)
                                seen = f.type == FRAME_SYNC && f.stream == SYNC_REQUEST &&
                                       memcmp(f.payload, nonce_b, SYNC_NONCE_SIZE) == 0;
                        assert_true(seen);
                        frame_decoder_done(&d);
                }
}

/* A frame cut at any offset is completed or refused by the padding: the sync comes through always. */
static void test_cut_frame_and_padding(void **state)
{
        uint8_t *payload = calloc(1, FRAME_PAYLOAD_MAX);
        autobuf struct buf whole = {0};
        (void)state;

        memset(payload, 0xff, FRAME_PAYLOAD_MAX);
        frame_write(&whole, FRAME_DATA, 0xffffffff, CHANNEL_STDERR, payload, FRAME_PAYLOAD_MAX);
        for (size_t cut = 1; cut < buf_size(&whole); cut += cut < 64 ? 1 : 4093) {
                autobuf struct buf b = {0};
                struct frame_decoder d;
                struct frame f;
                enum frame_type last = 0;

                frame_write_sync(&b, SYNC_REQUEST, nonce_a, false);
                buf_append(&b, buf_head(&whole), cut);
                frame_write_sync(&b, SYNC_REQUEST, nonce_b, true);
                frame_write(&b, FRAME_CLOSE, 77, 0, NULL, 0);
                frame_decoder_init(&d, true);
                push(&d, buf_head(&b), buf_size(&b));
                for (bool synced = false; frame_decoder_next(&d, &f) == 1;) {
                        if (f.type == FRAME_SYNC && memcmp(f.payload, nonce_b, SYNC_NONCE_SIZE) == 0)
                                synced = true;
                        else if (synced)
                                assert_int_equal(f.stream, 77);
                        last = f.type;
                }
                assert_int_equal(last, FRAME_CLOSE);
                frame_decoder_done(&d);
        }
        free(payload);
}

static void test_largest(void **state)
{
        uint8_t *payload = calloc(1, FRAME_PAYLOAD_MAX);
        autobuf struct buf b = {0};
        struct frame_decoder d;
        struct frame f;
        (void)state;

        for (size_t i = 0; i < FRAME_PAYLOAD_MAX; i++)
                payload[i] = (uint8_t)(i * 31);
        frame_decoder_init(&d, false);
        for (int round = 0; round < 50; round++) {
                buf_consume(&b, buf_size(&b));
                frame_write(&b, FRAME_DATA, 4, 1, payload, FRAME_PAYLOAD_MAX);
                assert_int_equal(buf_size(&b), 64 * 1024);
                frame_decoder_push(&d, buf_head(&b), 50000);
                assert_int_equal(frame_decoder_next(&d, &f), 0);
                frame_decoder_push(&d, buf_head(&b) + 50000, buf_size(&b) - 50000);
                assert_int_equal(frame_decoder_next(&d, &f), 1);
                assert_int_equal(f.size, FRAME_PAYLOAD_MAX);
                assert_memory_equal(f.payload, payload, f.size);
        }
        assert_int_equal(frame_decoder_next(&d, &f), 0);
        assert_true(d.in.allocated <= 512 * 1024);
        frame_decoder_done(&d);
        free(payload);
}

static void test_garbage_is_an_error_without_port(void **state)
{
        static const struct {
                const char *bytes;
                size_t n;
        } cases[] = {
                {"X", 1},                            /* wrong magic, told at the first byte */
                {"VX", 2},                           /* its second byte */
                {"VI\0\0\0\0\0\0\0\0\0\0", 12},      /* type 0 */
                {"VI\7\0\0\0\0\0\0\0\0\0", 12},      /* FRAME_SYNC is never a frame */
                {"VI\3\3\0\0\0\0\0\0\0\0", 12},      /* no such channel */
                {"VI\3\0\0\0\0\0\xf5\xff\0\0", 12},  /* one byte too long */
                {"VI\3\0\0\0\0\0\0\0\0\x80", 12},    /* far too long */
                {"\xff\x43\x8f\xd8\x5a\xf8\x63", 7}, /* no syncs here */
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct frame_decoder d;
                struct frame f;

                frame_decoder_init(&d, false);
                push(&d, (const uint8_t *)cases[i].bytes, cases[i].n);
                assert_int_equal(frame_decoder_next(&d, &f), -1);
                assert_int_equal(frame_decoder_next(&d, &f), -1);
                frame_decoder_done(&d);
        }
}

static void test_hunting_is_bounded(void **state)
{
        uint8_t chunk[4096];
        struct frame_decoder d;
        struct frame f;
        (void)state;

        frame_decoder_init(&d, true);
        assert_int_equal(frame_decoder_next(&d, &f), 0);
        for (size_t i = 0; i < sizeof(chunk); i++)
                chunk[i] = SYNC_MAGIC[i % 15]; /* begins a magic again and again */
        for (int i = 0; i < 1000; i++) {
                frame_decoder_push(&d, chunk, sizeof(chunk));
                assert_int_equal(frame_decoder_next(&d, &f), 0);
                assert_true(buf_size(&d.in) < SYNC_MAGIC_SIZE);
        }
        assert_true(d.dropped > 1000 * sizeof(chunk) - SYNC_MAGIC_SIZE);
        assert_true(d.in.allocated < 64 * 1024);
        frame_decoder_done(&d);
}

static void test_credit(void **state)
{
        const struct frame good = {.type = FRAME_CREDIT, .payload = (const uint8_t *)"\1\2\0\0", .size = 4};
        const struct frame small = {.type = FRAME_CREDIT, .payload = (const uint8_t *)"\1\2\0", .size = 3};
        const struct frame other = {.type = FRAME_DATA, .payload = (const uint8_t *)"\1\2\0\0", .size = 4};
        (void)state;

        assert_int_equal(frame_credit(&good), 0x201);
        assert_int_equal(frame_credit(&small), 0);
        assert_int_equal(frame_credit(&other), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_layout),
                cmocka_unit_test(test_every_type),
                cmocka_unit_test(test_port_script),
                cmocka_unit_test(test_cut_record),
                cmocka_unit_test(test_cut_frame_and_padding),
                cmocka_unit_test(test_largest),
                cmocka_unit_test(test_garbage_is_an_error_without_port),
                cmocka_unit_test(test_hunting_is_bounded),
                cmocka_unit_test(test_credit),
        };

        return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
