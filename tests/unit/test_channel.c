/* SPDX-License-Identifier: MIT */
/* The daemon's channel over a carrier of the test's own: what is said when the carrier's connection is lost, made anew, ended. */
#include "daemon/channel.h"

#include "base/json.h"
#include "wire/varlink.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A carrier whose other end is the test. */
struct fake {
        struct carrier carrier;
        struct buf out;
        bool freed;
};

static void fake_start(struct carrier *c)
{
        (void)c;
}

static struct buf *fake_output(struct carrier *c)
{
        return &((struct fake *)c)->out;
}

static void fake_free(struct carrier *c)
{
        ((struct fake *)c)->freed = true;
}

static const struct carrier_ops fake_ops = {.start = fake_start, .output = fake_output, .flush = fake_start, .free = fake_free};

struct test {
        struct loop *loop;
        struct fake fake;
        struct channel *channel;
        unsigned hellos, losses, ends;
        unsigned frames, streams_lost, drains;
        char why[ERROR_MESSAGE_MAX];
};

static void on_hello(void *userdata, struct json_object *parameters)
{
        struct test *t = userdata;

        assert_string_equal(json_get_string(parameters, "kernel", ""), "6.1");
        t->hellos++;
}

static void on_lost(void *userdata, const char *why)
{
        struct test *t = userdata;

        t->losses++;
        snprintf(t->why, sizeof(t->why), "%s", why);
}

static void on_ended(void *userdata, const struct error *why)
{
        struct test *t = userdata;

        t->ends++;
        snprintf(t->why, sizeof(t->why), "%s", why->message);
}

static void on_stream_frame(void *userdata, const struct frame *f)
{
        struct test *t = userdata;

        (void)f;
        t->frames++;
}

static void on_stream_lost(void *userdata, const char *why)
{
        struct test *t = userdata;

        t->streams_lost++;
        snprintf(t->why, sizeof(t->why), "%s", why);
}

static void on_stream_drained(void *userdata)
{
        ((struct test *)userdata)->drains++;
}

static const struct channel_events events = {.hello = on_hello, .lost = on_lost, .ended = on_ended};
static const struct channel_stream_events stream_events = {
        .frame = on_stream_frame, .lost = on_stream_lost, .drained = on_stream_drained};

static int setup(void **state)
{
        struct test *t = xcalloc(1, sizeof(*t));

        t->loop = loop_new();
        t->fake.carrier.ops = &fake_ops;
        t->channel = channel_new(t->loop, &t->fake.carrier, &events, t);
        *state = t;
        return 0;
}

static int teardown(void **state)
{
        struct test *t = *state;

        channel_free(t->channel);
        assert_true(t->fake.freed);
        loop_dispatch(t->loop); /* the channel's memory goes with the next round */
        loop_free(t->loop);
        buf_done(&t->fake.out);
        free(t);
        return 0;
}

static void give(struct test *t, struct buf *b)
{
        t->fake.carrier.events->data(t->fake.carrier.userdata, buf_head(b), buf_size(b));
        buf_consume(b, buf_size(b));
}

/* What an agent does: finds the request in what the channel wrote, and answers it with a greeting. */
static void answer(struct test *t)
{
        struct frame_decoder decoder;
        uint8_t nonce[SYNC_NONCE_SIZE];
        autobuf struct buf b = {0};
        autojson struct json_object *parameters = json_new();
        bool asked = false;
        struct frame f;

        frame_decoder_init(&decoder, true);
        frame_decoder_push(&decoder, buf_head(&t->fake.out), buf_size(&t->fake.out));
        buf_consume(&t->fake.out, buf_size(&t->fake.out));
        while (frame_decoder_next(&decoder, &f) > 0)
                if (f.type == FRAME_SYNC && f.stream == SYNC_REQUEST) {
                        memcpy(nonce, f.payload, sizeof(nonce));
                        asked = true;
                }
        frame_decoder_done(&decoder);
        assert_true(asked);
        frame_write_sync(&b, SYNC_ANSWER, nonce, false);
        json_add_string(parameters, "kernel", "6.1");
        autojson struct json_object *hello =
                varlink_call_new("org.initvm.agent.Hello", json_object_get(parameters), VARLINK_ONEWAY);
        const char *text = json_line(hello);
        frame_write(&b, FRAME_MESSAGE, 0, 0, text, strlen(text));
        give(t, &b);
}

static struct channel_stream *open_stream(struct test *t)
{
        struct error err = ERROR_INIT;

        return channel_open(t->channel, varlink_call_new("org.initvm.agent.Exec", NULL, 0), &stream_events, t, &err);
}

static void test_hello(void **state)
{
        struct test *t = *state;

        assert_false(channel_ready(t->channel));
        assert_null(open_stream(t));
        answer(t);
        assert_int_equal(t->hellos, 1);
        assert_true(channel_ready(t->channel));
}

static void test_lost_and_made_anew(void **state)
{
        struct test *t = *state;
        const struct carrier *c = &t->fake.carrier;
        autobuf struct buf half = {0};
        struct channel_stream *s;

        answer(t);
        s = open_stream(t);
        assert_non_null(s);
        /* Half a frame, and then the connection is gone. */
        frame_write(&half, FRAME_DATA, 1, CHANNEL_STDOUT, "0123456789", 10);
        c->events->data(c->userdata, buf_head(&half), buf_size(&half) - 5);
        c->events->reset(c->userdata, "the cable was cut");
        assert_int_equal(t->streams_lost, 1);
        assert_int_equal(t->losses, 1);
        assert_string_equal(t->why, "the cable was cut");
        assert_false(channel_ready(t->channel));
        channel_close(s);

        c->events->reset(c->userdata, NULL);
        assert_int_equal(t->losses, 1); /* that one was told already */
        answer(t);
        assert_int_equal(t->hellos, 2);
        assert_true(channel_ready(t->channel));
        s = open_stream(t);
        assert_non_null(s);
        channel_close(s);
        assert_int_equal(t->frames, 0);
}

/* The bytes of a new connection may be read before the word that there is one. */
static void test_bytes_before_the_word(void **state)
{
        static const uint8_t no_nonce[SYNC_NONCE_SIZE];
        struct test *t = *state;
        const struct carrier *c = &t->fake.carrier;
        autobuf struct buf b = {0};

        answer(t);
        frame_write_sync(&b, SYNC_PLEASE, no_nonce, true);
        for (size_t at = 0; at < buf_size(&b); at += 4096)
                c->events->data(c->userdata, buf_head(&b) + at, MIN((size_t)4096, buf_size(&b) - at));
        answer(t);
        assert_int_equal(t->hellos, 2);
        c->events->reset(c->userdata, "lost");
        c->events->reset(c->userdata, NULL);
        assert_false(channel_ready(t->channel));
        answer(t);
        assert_int_equal(t->hellos, 3);
        assert_true(channel_ready(t->channel));
}

/* The guest's agent is gone in the middle of a frame, and the next one says when it is there. */
static void test_guest_reset(void **state)
{
        static const uint8_t no_nonce[SYNC_NONCE_SIZE];
        struct test *t = *state;
        const struct carrier *c = &t->fake.carrier;
        autobuf struct buf half = {0}, please = {0};
        struct channel_stream *s;

        answer(t);
        s = open_stream(t);
        frame_write(&half, FRAME_DATA, 1, CHANNEL_STDOUT, "0123456789", 10);
        c->events->data(c->userdata, buf_head(&half), buf_size(&half) - 5);
        channel_guest_reset(t->channel, "the guest has rebooted");
        channel_guest_reset(t->channel, "again");
        assert_int_equal(t->streams_lost, 1);
        assert_int_equal(t->losses, 1);
        assert_string_equal(t->why, "the guest has rebooted");
        assert_false(channel_ready(t->channel));
        channel_close(s);
        frame_write_sync(&please, SYNC_PLEASE, no_nonce, true);
        give(t, &please);
        answer(t);
        assert_int_equal(t->hellos, 2);
        assert_int_equal(t->losses, 1);
        assert_int_equal(t->frames, 0);
        channel_guest_reset(NULL, "nobody");
}

static void test_ended(void **state)
{
        struct test *t = *state;
        const struct carrier *c = &t->fake.carrier;
        struct error why = ERROR_INIT;
        struct channel_stream *s;

        answer(t);
        s = open_stream(t);
        error_set(&why, ERR_DENIED, "another host key");
        c->events->ended(c->userdata, &why);
        assert_int_equal(t->streams_lost, 1);
        assert_int_equal(t->ends, 1);
        assert_string_equal(t->why, "another host key");
        assert_false(channel_ready(t->channel));
        channel_close(s);
}

static void test_drained(void **state)
{
        struct test *t = *state;
        const struct carrier *c = &t->fake.carrier;
        struct channel_stream *s;

        answer(t);
        s = open_stream(t);
        channel_send(s, FRAME_DATA, CHANNEL_STDIN, "x", 1);
        assert_true(channel_queued(s) > 0);
        c->events->drained(c->userdata);
        assert_int_equal(t->drains, 1);
        channel_close(s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_hello),   TEST(test_lost_and_made_anew), TEST(test_bytes_before_the_word), TEST(test_ended),
                TEST(test_drained), TEST(test_guest_reset),
        };

        return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
