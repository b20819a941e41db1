/* SPDX-License-Identifier: MIT */
#include "daemon/virt_stream.h"

#include <libvirt/virterror.h>
#include <stdbool.h>
#include <stdlib.h>

#define READ_SIZE     (64u * 1024)
#define READS_AT_ONCE 16 /* then the other clients get their turn */

struct virt_stream {
        virStreamPtr stream;
        const struct virt_stream_events *events;
        void *userdata;
        struct buf out;
        bool dead; /* freed by its owner while a callback of libvirt is running, or waiting for libvirt's last word */
        bool ended;
        uint8_t *block;
};

const char *virt_error(void)
{
        virErrorPtr e = virGetLastError();
        return e && e->message ? e->message : "unknown error of libvirt";
}

/* libvirt calls this when the event callback is really gone: only then may the memory go. */
static void on_released(void *opaque)
{
        struct virt_stream *s = opaque;

        buf_done(&s->out);
        free(s->block);
        free(s);
}

static void watch(struct virt_stream *s)
{
        int events = VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP;

        if (buf_size(&s->out) > 0)
                events |= VIR_STREAM_EVENT_WRITABLE;
        if (!s->ended)
                virStreamEventUpdateCallback(s->stream, events);
}

static void end(struct virt_stream *s)
{
        if (s->ended || s->dead)
                return;
        s->ended = true;
        virStreamEventUpdateCallback(s->stream, 0);
        s->events->ended(s->userdata);
}

static void write_some(struct virt_stream *s)
{
        while (buf_size(&s->out) > 0 && !s->ended) {
                int n = virStreamSend(s->stream, (const char *)buf_head(&s->out), MIN(buf_size(&s->out), READ_SIZE));
                if (n == -2)
                        return;
                if (n <= 0) {
                        end(s);
                        return;
                }
                buf_consume(&s->out, (size_t)n);
        }
}

static void on_event(virStreamPtr stream, int events, void *opaque)
{
        struct virt_stream *s = opaque;
        bool had_output = buf_size(&s->out) > 0;

        if (s->dead)
                return;
        virStreamRef(stream); /* a callback may free us */
        if (events & VIR_STREAM_EVENT_WRITABLE) {
                write_some(s);
                if (!s->dead && !s->ended && had_output && buf_size(&s->out) == 0 && s->events->drained)
                        s->events->drained(s->userdata);
        }
        for (int i = 0; i < READS_AT_ONCE && !s->dead && !s->ended; i++) {
                int n = virStreamRecv(s->stream, (char *)s->block, READ_SIZE);
                if (n == -2)
                        break;
                if (n <= 0) {
                        end(s);
                        break;
                }
                s->events->data(s->userdata, s->block, (size_t)n);
        }
        if (!s->dead && !s->ended)
                watch(s);
        virStreamFree(stream);
}

struct virt_stream *virt_stream_new(virStreamPtr stream, const struct virt_stream_events *events, void *userdata)
{
        struct virt_stream *s = xcalloc(1, sizeof(*s));

        s->stream = stream;
        s->events = events;
        s->userdata = userdata;
        s->block = xcalloc(READ_SIZE, 1);
        if (virStreamEventAddCallback(stream, VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP,
                                      on_event, s, on_released) < 0)
                abort(); /* only without an event loop */
        return s;
}

void virt_stream_free(struct virt_stream *s)
{
        virStreamPtr stream;

        if (!s)
                return;
        s->dead = true;
        stream = s->stream;
        virStreamEventRemoveCallback(stream); /* on_released() comes later, from the loop */
        virStreamAbort(stream);
        virStreamFree(stream);
}

struct buf *virt_stream_output(struct virt_stream *s)
{
        return &s->out;
}

void virt_stream_flush(struct virt_stream *s)
{
        if (s->ended) {
                buf_consume(&s->out, buf_size(&s->out));
                return;
        }
        write_some(s);
        if (!s->ended)
                watch(s);
}
