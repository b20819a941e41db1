/* SPDX-License-Identifier: MIT */
#include "daemon/console.h"

#include "base/json.h"
#include "daemon/console_log.h"
#include "daemon/replay.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

#define VIEWER_STREAM      1u
#define VIEWER_QUEUE_MAX   (256u * 1024) /* a viewer with more than this waiting is skipped over until it has read */
#define KEYBOARD_QUEUE_MAX (64u * 1024)  /* typed, but not yet taken by the guest: then the writer is not read */
#define ROTATE_EVERY       (256u * 1024) /* bytes of output between two looks at the size of the log */

struct viewer {
        struct console *console;
        struct conn *conn;
        struct frame_decoder decoder;
        bool writer;
        uint64_t skipped;
        struct viewer *prev, *next;
};

struct console {
        struct loop *loop;
        struct virt_stream *stream;
        char *log;
        uint8_t replay[CONSOLE_REPLAY_SIZE]; /* a ring: the oldest byte is at replay_start */
        size_t replay_start, replay_size;
        size_t since_rotate;
        struct viewer *viewers;
        console_watch_fn watch;
        void *watch_userdata;
};

static void viewer_free(struct viewer *v)
{
        if (v->prev)
                v->prev->next = v->next;
        else
                v->console->viewers = v->next;
        if (v->next)
                v->next->prev = v->prev;
        conn_finish(v->conn);
        frame_decoder_done(&v->decoder);
        free(v);
}

static void viewer_message(struct viewer *v, struct json_object *owned)
{
        const char *text = json_line(owned);

        frame_write(conn_output(v->conn), FRAME_MESSAGE, VIEWER_STREAM, 0, text, strlen(text));
        conn_flush(v->conn);
        json_object_put(owned);
}

static void viewer_event(struct viewer *v, const char *event, const char *key, struct json_object *owned_value)
{
        struct json_object *o = json_new();

        json_add_string(o, "event", event);
        if (key)
                json_add(o, key, owned_value);
        viewer_message(v, o);
}

static void viewer_data(struct viewer *v, const uint8_t *data, size_t n)
{
        if (conn_queued(v->conn) > VIEWER_QUEUE_MAX) {
                v->skipped += n;
                return;
        }
        while (n > 0) {
                size_t part = MIN(n, (size_t)FRAME_PAYLOAD_MAX);
                frame_write(conn_output(v->conn), FRAME_DATA, VIEWER_STREAM, CHANNEL_STDOUT, data, part);
                data += part;
                n -= part;
        }
        conn_flush(v->conn);
}

static void remember(struct console *c, const uint8_t *data, size_t n)
{
        if (n > CONSOLE_REPLAY_SIZE) {
                data += n - CONSOLE_REPLAY_SIZE;
                n = CONSOLE_REPLAY_SIZE;
        }
        for (size_t i = 0; i < n; i++)
                c->replay[(c->replay_start + c->replay_size + i) % CONSOLE_REPLAY_SIZE] = data[i];
        c->replay_size += n;
        if (c->replay_size > CONSOLE_REPLAY_SIZE) {
                c->replay_start = (c->replay_start + c->replay_size - CONSOLE_REPLAY_SIZE) % CONSOLE_REPLAY_SIZE;
                c->replay_size = CONSOLE_REPLAY_SIZE;
        }
}

/* What is remembered, in order, as one owned block. */
static uint8_t *remembered(const struct console *c)
{
        uint8_t *block = xcalloc(c->replay_size + 1, 1);

        for (size_t i = 0; i < c->replay_size; i++)
                block[i] = c->replay[(c->replay_start + i) % CONSOLE_REPLAY_SIZE];
        return block;
}

static void on_data(void *userdata, const uint8_t *data, size_t n)
{
        struct console *c = userdata;

        remember(c, data, n);
        for (struct viewer *v = c->viewers; v; v = v->next)
                viewer_data(v, data, n);
        if (c->watch)
                c->watch(c->watch_userdata, data, n);
        c->since_rotate += n;
        if (c->since_rotate >= ROTATE_EVERY) {
                c->since_rotate = 0;
                console_log_rotate(c->log);
        }
}

static void on_ended(void *userdata)
{
        (void)userdata; /* the domain's end comes as an event of its own, and frees us */
}

/* The guest took what was typed: the writer may go on. */
static void on_drained(void *userdata)
{
        struct console *c = userdata;

        for (struct viewer *v = c->viewers; v; v = v->next)
                conn_pause_input(v->conn, false);
}

static const struct virt_stream_events stream_events = {.data = on_data, .ended = on_ended, .drained = on_drained};

static void on_viewer_input(void *userdata)
{
        struct viewer *v = userdata;
        struct console *c = v->console;
        struct buf *in = conn_input(v->conn);
        struct frame f;
        int got;

        frame_decoder_push(&v->decoder, buf_head(in), buf_size(in));
        buf_consume(in, buf_size(in));
        while ((got = frame_decoder_next(&v->decoder, &f)) > 0) {
                if (f.type == FRAME_CLOSE || f.type == FRAME_EOF) {
                        viewer_free(v);
                        return;
                }
                if (f.type != FRAME_DATA)
                        continue;
                frame_write_credit(conn_output(v->conn), VIEWER_STREAM, (uint32_t)f.size);
                if (v->writer)
                        buf_append(virt_stream_output(c->stream), f.payload, f.size);
        }
        if (got < 0) {
                viewer_free(v);
                return;
        }
        conn_flush(v->conn);
        virt_stream_flush(c->stream);
        if (buf_size(virt_stream_output(c->stream)) > KEYBOARD_QUEUE_MAX)
                conn_pause_input(v->conn, true);
}

static void on_viewer_ended(void *userdata)
{
        viewer_free(userdata);
}

static void on_viewer_drained(void *userdata)
{
        struct viewer *v = userdata;
        uint64_t skipped = v->skipped;

        if (skipped == 0)
                return;
        v->skipped = 0;
        viewer_event(v, "skipped", "bytes", json_object_new_uint64(skipped));
}

static const struct conn_events viewer_events = {
        .input = on_viewer_input, .ended = on_viewer_ended, .drained = on_viewer_drained};

struct console *console_new(struct loop *loop, virStreamPtr stream, const char *log)
{
        struct console *c = xcalloc(1, sizeof(*c));

        c->loop = loop;
        c->log = xstrdup(log);
        c->replay_size = console_log_tail(log, c->replay, sizeof(c->replay));
        c->stream = virt_stream_new(stream, &stream_events, c);
        return c;
}

void console_free(struct console *c)
{
        if (!c)
                return;
        while (c->viewers) {
                viewer_event(c->viewers, "ended", "message", json_object_new_string("the VM has stopped"));
                frame_write(conn_output(c->viewers->conn), FRAME_CLOSE, VIEWER_STREAM, 0, NULL, 0);
                viewer_free(c->viewers);
        }
        virt_stream_free(c->stream);
        free(c->log);
        free(c);
}

void console_watch(struct console *c, console_watch_fn fn, void *userdata)
{
        c->watch = fn;
        c->watch_userdata = userdata;
}

bool console_has_writer(const struct console *c)
{
        for (const struct viewer *v = c->viewers; v; v = v->next)
                if (v->writer)
                        return true;
        return false;
}

void console_attach(struct console *c, struct conn *conn, bool writer)
{
        struct viewer *v = xcalloc(1, sizeof(*v));
        autofree uint8_t *block = remembered(c);

        for (struct viewer *other = c->viewers; other && writer; other = other->next)
                if (other->writer) {
                        other->writer = false;
                        viewer_event(other, "keyboard-lost", NULL, NULL);
                }
        v->console = c;
        v->conn = conn;
        v->writer = writer;
        frame_decoder_init(&v->decoder, false);
        v->next = c->viewers;
        if (v->next)
                v->next->prev = v;
        c->viewers = v;
        conn_set_events(conn, &viewer_events, v);
        viewer_data(v, block, replay_without_queries(block, c->replay_size));
        on_viewer_input(v); /* what came together with the call */
}

char *console_last_lines(const struct console *c, unsigned n)
{
        autofree uint8_t *block = remembered(c);
        size_t end = c->replay_size, start;

        while (end > 0 && (block[end - 1] == '\n' || block[end - 1] == '\r'))
                end--;
        for (start = end; start > 0; start--)
                if (block[start - 1] == '\n' && n-- == 1)
                        break;
        block[end] = '\0';
        return xstrdup((char *)block + start);
}
