/* SPDX-License-Identifier: MIT */
#include "daemon/channel.h"

#include "base/log.h"
#include "wire/varlink.h"

#include <stdlib.h>
#include <string.h>

struct channel_stream {
        struct channel *channel;
        uint32_t id;
        bool open; /* neither side has ended it */
        const struct channel_stream_events *events;
        void *userdata;
        struct channel_stream *prev, *next;
};

struct channel {
        struct loop *loop;
        struct carrier *port;
        struct frame_decoder decoder;
        uint8_t nonce[SYNC_NONCE_SIZE];
        bool synced; /* our nonce came back */
        bool ready;
        bool dead; /* freed by its owner; the memory goes when no callback can be running any more */
        const struct channel_events *events;
        void *userdata;
        struct channel_stream *streams;
        size_t n_streams;
        uint32_t next_id;
};

static void stream_unlink(struct channel_stream *s)
{
        struct channel *c = s->channel;

        if (!c)
                return;
        if (s->prev)
                s->prev->next = s->next;
        else
                c->streams = s->next;
        if (s->next)
                s->next->prev = s->prev;
        c->n_streams--;
        s->channel = NULL;
        s->open = false;
}

/* Every stream ends; its owner is told, and frees it. */
static void lose_streams(struct channel *c, const char *why)
{
        while (c->streams) {
                struct channel_stream *s = c->streams;
                stream_unlink(s);
                s->events->lost(s->userdata, why);
        }
}

static void begin_sync(struct channel *c)
{
        c->synced = false;
        c->ready = false;
        random_bytes(c->nonce, sizeof(c->nonce));
        frame_write_sync(carrier_output(c->port), SYNC_REQUEST, c->nonce, true);
        carrier_flush(c->port);
}

static void on_sync(struct channel *c, const struct frame *f)
{
        switch (f->stream) {
        case SYNC_PLEASE: { /* a new agent: after a boot, or restarted */
                bool was_ready = c->ready;
                c->ready = false;
                lose_streams(c, "the agent in the VM was restarted");
                if (was_ready)
                        c->events->lost(c->userdata, "it was restarted");
                if (!c->dead)
                        begin_sync(c);
                break;
        }
        case SYNC_ANSWER:
                /* An answer with another nonce belongs to a request of a daemon before us. */
                c->synced = memcmp(f->payload, c->nonce, sizeof(c->nonce)) == 0;
                break;
        default:
                break;
        }
}

/* Stream 0: the agent speaks for itself. */
static void on_peer_message(struct channel *c, const struct frame *f)
{
        struct error err = ERROR_INIT;
        struct varlink_call call;
        autojson struct json_object *message = json_parse((const char *)f->payload, f->size, &err);

        if (!message || varlink_read_call(message, &call, &err) < 0) {
                log_warning("agent: %s", err.message);
                return;
        }
        if (!streq(call.method, "org.initvm.agent.Hello")) {
                log_warning("agent: unexpected '%s'", call.method);
                return;
        }
        c->ready = true;
        c->events->hello(c->userdata, call.parameters);
}

static struct channel_stream *find_stream(struct channel *c, uint32_t id)
{
        for (struct channel_stream *s = c->streams; s; s = s->next)
                if (s->id == id)
                        return s;
        return NULL;
}

static void on_frame(struct channel *c, const struct frame *f)
{
        struct channel_stream *s;

        if (f->type == FRAME_SYNC) {
                on_sync(c, f);
                return;
        }
        if (!c->synced)
                return; /* left over from an earlier connection */
        if (f->stream == 0) {
                if (f->type == FRAME_MESSAGE)
                        on_peer_message(c, f);
                return;
        }
        s = find_stream(c, f->stream);
        if (!s)
                return; /* closed by us; the agent did not know yet */
        if (f->type == FRAME_CLOSE)
                stream_unlink(s);
        s->events->frame(s->userdata, f);
}

static void on_data(void *userdata, const uint8_t *data, size_t n)
{
        struct channel *c = userdata;
        struct frame f;

        frame_decoder_push(&c->decoder, data, n);
        while (!c->dead && frame_decoder_next(&c->decoder, &f) > 0)
                on_frame(c, &f);
}

/* The bytes of one connection and those of the next have nothing to do with one another. */
static void on_reset(void *userdata, const char *why)
{
        struct channel *c = userdata;

        c->ready = c->synced = false;
        frame_decoder_done(&c->decoder);
        frame_decoder_init(&c->decoder, true);
        lose_streams(c, why ? why : "the connection to the VM was made anew");
        if (why && !c->dead)
                c->events->lost(c->userdata, why);
        if (!c->dead)
                begin_sync(c);
}

void channel_guest_reset(struct channel *c, const char *why)
{
        bool was_ready = channel_ready(c);

        if (!c || c->dead)
                return;
        c->ready = c->synced = false;
        frame_decoder_done(&c->decoder);
        frame_decoder_init(&c->decoder, true);
        lose_streams(c, why);
        if (was_ready && !c->dead)
                c->events->lost(c->userdata, why);
}

static void on_ended(void *userdata, const struct error *why)
{
        struct channel *c = userdata;

        c->ready = c->synced = false;
        lose_streams(c, why->message);
        if (!c->dead)
                c->events->lost(c->userdata, why->message);
        if (!c->dead)
                c->events->ended(c->userdata, why);
}

static void on_drained(void *userdata)
{
        struct channel *c = userdata;

        for (struct channel_stream *s = c->streams, *next; s && !c->dead; s = next) {
                next = s->next;
                if (s->events->drained)
                        s->events->drained(s->userdata);
        }
}

static const struct carrier_events port_events = {.data = on_data, .reset = on_reset, .ended = on_ended, .drained = on_drained};

struct channel *channel_new(struct loop *loop, struct carrier *carrier, const struct channel_events *events, void *userdata)
{
        struct channel *c = xcalloc(1, sizeof(*c));

        c->loop = loop;
        c->events = events;
        c->userdata = userdata;
        c->next_id = 1;
        frame_decoder_init(&c->decoder, true);
        c->port = carrier;
        carrier_start(c->port, &port_events, c);
        begin_sync(c);
        return c;
}

static void bury(void *userdata)
{
        struct channel *c = userdata;

        frame_decoder_done(&c->decoder);
        free(c);
}

void channel_free(struct channel *c)
{
        if (!c || c->dead)
                return;
        c->dead = true;
        c->ready = c->synced = false;
        lose_streams(c, "the VM has stopped");
        carrier_free(c->port);
        loop_post(c->loop, bury, c);
}

bool channel_ready(const struct channel *c)
{
        return c && c->ready;
}

struct channel_stream *channel_open(struct channel *c, struct json_object *call, const struct channel_stream_events *events,
                                    void *userdata, struct error *err)
{
        autojson struct json_object *owned = call;
        const char *text = json_line(owned);
        struct channel_stream *s;

        if (!channel_ready(c)) {
                error_set(err, ERR_STATE, "the agent in the VM does not answer; see 'initvm console --log'");
                return NULL;
        }
        if (c->n_streams >= CHANNEL_STREAMS_MAX) {
                error_set(err, ERR_STATE, "more than %d commands and connections at once in one VM; try again when one has ended",
                          CHANNEL_STREAMS_MAX);
                return NULL;
        }
        if (strlen(text) > FRAME_PAYLOAD_MAX) {
                error_set(err, ERR_INVALID, "the command, its arguments and environment are longer than %s",
                          format_size(FRAME_PAYLOAD_MAX));
                return NULL;
        }
        s = xcalloc(1, sizeof(*s));
        s->channel = c;
        s->open = true;
        do {
                s->id = c->next_id++; /* wraps after four billion: passes over 0 and what is in use */
        } while (s->id == 0 || find_stream(c, s->id));
        s->events = events;
        s->userdata = userdata;
        s->next = c->streams;
        if (s->next)
                s->next->prev = s;
        c->streams = s;
        c->n_streams++;
        frame_write(carrier_output(c->port), FRAME_OPEN, s->id, 0, text, strlen(text));
        carrier_flush(c->port);
        return s;
}

void channel_send(struct channel_stream *s, enum frame_type type, uint8_t channel, const void *payload, size_t size)
{
        if (!s->channel)
                return;
        frame_write(carrier_output(s->channel->port), type, s->id, channel, payload, size);
        carrier_flush(s->channel->port);
}

void channel_grant(struct channel_stream *s, uint32_t bytes)
{
        if (!s->channel)
                return;
        frame_write_credit(carrier_output(s->channel->port), s->id, bytes);
        carrier_flush(s->channel->port);
}

size_t channel_queued(const struct channel_stream *s)
{
        return s->channel ? buf_size(carrier_output(s->channel->port)) : 0;
}

void channel_close(struct channel_stream *s)
{
        if (!s)
                return;
        channel_send(s, FRAME_CLOSE, 0, NULL, 0);
        stream_unlink(s);
        free(s);
}
