/* SPDX-License-Identifier: MIT */
#include "daemon/carrier.h"
#include "daemon/virt_stream.h"

#include <stdlib.h>

struct stream_carrier {
        struct carrier carrier; /* first: a carrier is cast to us */
        virStreamPtr stream;    /* until it is started */
        struct virt_stream *port;
};

static struct stream_carrier *from(struct carrier *c)
{
        return (struct stream_carrier *)c;
}

static void on_data(void *userdata, const uint8_t *data, size_t n)
{
        struct stream_carrier *s = userdata;

        s->carrier.events->data(s->carrier.userdata, data, n);
}

static void on_ended(void *userdata)
{
        struct stream_carrier *s = userdata;
        struct error err = ERROR_INIT;

        error_set(&err, ERR_DISCONNECTED, "the VM's agent port was closed");
        s->carrier.events->ended(s->carrier.userdata, &err);
}

static void on_drained(void *userdata)
{
        struct stream_carrier *s = userdata;

        s->carrier.events->drained(s->carrier.userdata);
}

static void start(struct carrier *c)
{
        static const struct virt_stream_events events = {.data = on_data, .ended = on_ended, .drained = on_drained};

        from(c)->port = virt_stream_new(take_ptr(from(c)->stream), &events, c);
}

static struct buf *output(struct carrier *c)
{
        return virt_stream_output(from(c)->port);
}

static void flush(struct carrier *c)
{
        virt_stream_flush(from(c)->port);
}

static void release(struct carrier *c)
{
        struct stream_carrier *s = from(c);

        virt_stream_free(s->port);
        if (s->stream) {
                virStreamAbort(s->stream);
                virStreamFree(s->stream);
        }
        free(s);
}

struct carrier *carrier_stream_new(virStreamPtr stream)
{
        static const struct carrier_ops ops = {.start = start, .output = output, .flush = flush, .free = release};
        struct stream_carrier *s = xcalloc(1, sizeof(*s));

        s->carrier.ops = &ops;
        s->stream = stream;
        return &s->carrier;
}
