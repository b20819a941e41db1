/* SPDX-License-Identifier: MIT */
/*
 * The relay looks only at frame types.  It lives from the call to the last of: the agent's CLOSE, the client's end, the loss of
 * the port; whichever comes first ends the other side.
 */
#include "daemon/relay.h"

#include <stdlib.h>

/* The port's queue above which a client is not read until it is empty again. */
#define PORT_QUEUE_HIGH (1u << 20)

/* An agent that keeps to the credits never has more than a window and a few messages waiting for a client. */
#define CLIENT_QUEUE_MAX (FRAME_WINDOW + (1u << 20))

#define CLIENT_STREAM 1u

struct relay {
        struct loop *loop;
        struct vm *vm;
        const char *method;             /* of org.initvm.agent */
        struct json_object *parameters; /* until the agent has them */
        struct vm_waiter *waiter;       /* until the agent is there */
        struct call *call;              /* until it is answered */
        struct conn *conn;              /* afterwards */
        struct frame_decoder decoder;
        struct channel_stream *stream;
        struct loop_source *deadline;
};

/* The agent answers an exec at once (it forks); a guest that does not within this time hangs. */
#define ANSWER_TIMEOUT_MS 60000

static void relay_free(struct relay *r)
{
        if (r->call)
                call_on_cancel(r->call, NULL, NULL);
        if (r->conn)
                conn_finish(r->conn);
        channel_close(r->stream);
        vm_waiter_free(r->waiter);
        json_object_put(r->parameters);
        loop_source_free(r->deadline);
        frame_decoder_done(&r->decoder);
        free(r);
}

static void fail(struct relay *r, const struct error *err)
{
        struct call *call = r->call;

        r->call = NULL;
        if (call) {
                call_fail(call, err);
        } else if (r->conn) {
                autojson struct json_object *message = varlink_error_new(err);
                const char *text = json_line(message);
                frame_write(conn_output(r->conn), FRAME_MESSAGE, CLIENT_STREAM, 0, text, __builtin_strlen(text));
                frame_write(conn_output(r->conn), FRAME_CLOSE, CLIENT_STREAM, 0, NULL, 0);
        }
        relay_free(r);
}

static void forward_client_frames(struct relay *r)
{
        struct buf *in = conn_input(r->conn);
        struct frame f;
        int got;

        frame_decoder_push(&r->decoder, buf_head(in), buf_size(in));
        buf_consume(in, buf_size(in));
        while ((got = frame_decoder_next(&r->decoder, &f)) > 0) {
                if (f.stream != CLIENT_STREAM || f.type == FRAME_OPEN || f.type == FRAME_CLOSE) {
                        relay_free(r); /* CLOSE: the client wants no more; the rest is not ours to guess */
                        return;
                }
                channel_send(r->stream, f.type, f.channel, f.payload, f.size);
        }
        if (got < 0) {
                relay_free(r);
                return;
        }
        if (channel_queued(r->stream) > PORT_QUEUE_HIGH)
                conn_pause_input(r->conn, true);
}

static void on_client_input(void *userdata)
{
        forward_client_frames(userdata);
}

static void on_client_ended(void *userdata)
{
        relay_free(userdata); /* the agent hangs the command up */
}

static const struct conn_events client_events = {.input = on_client_input, .ended = on_client_ended};

/* The agent's first answer decides what becomes of the call. */
static void on_answer(struct relay *r, const struct frame *f)
{
        struct error err = ERROR_INIT;
        struct json_object *parameters = NULL;
        struct call *call = r->call;
        autojson struct json_object *message = json_parse((const char *)f->payload, f->size, &err);

        if (!message || varlink_read_reply(message, &parameters, NULL, &err) < 0) {
                fail(r, &err);
                return;
        }
        loop_source_free(r->deadline);
        r->deadline = NULL;
        call_on_cancel(call, NULL, NULL);
        r->call = NULL;
        r->conn = call_upgrade(call, json_object_get(parameters));
        if (!r->conn) { /* the client left meanwhile */
                relay_free(r);
                return;
        }
        conn_set_events(r->conn, &client_events, r);
        forward_client_frames(r);
}

static void on_agent_frame(void *userdata, const struct frame *f)
{
        struct relay *r = userdata;
        struct error err = ERROR_INIT;

        if (r->call) {
                if (f->type == FRAME_MESSAGE) {
                        on_answer(r, f);
                } else {
                        error_set(&err, ERR_PROTOCOL, "the agent sent a frame of type %d before its answer", f->type);
                        fail(r, &err);
                }
                return;
        }
        frame_write(conn_output(r->conn), f->type, CLIENT_STREAM, f->channel, f->payload, f->size);
        if (f->type == FRAME_CLOSE || conn_queued(r->conn) > CLIENT_QUEUE_MAX) {
                relay_free(r);
                return;
        }
        conn_flush(r->conn);
}

static void on_agent_lost(void *userdata, const char *why)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_DISCONNECTED, "%s meanwhile", why);
        fail(userdata, &err);
}

static void on_port_drained(void *userdata)
{
        struct relay *r = userdata;

        if (r->conn)
                conn_pause_input(r->conn, false);
}

static const struct channel_stream_events agent_events = {
        .frame = on_agent_frame, .lost = on_agent_lost, .drained = on_port_drained};

static void on_cancel(void *userdata)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_CANCELLED, "cancelled");
        fail(userdata, &err);
}

static void on_deadline(void *userdata)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_TIMEOUT, "the agent in the VM did not answer within %d s", ANSWER_TIMEOUT_MS / 1000);
        fail(userdata, &err);
}

static void on_agent_there(void *userdata, const struct error *why_not)
{
        struct relay *r = userdata;
        struct error err = ERROR_INIT;

        autofree char *method = xasprintf("org.initvm.agent.%s", r->method);

        r->waiter = NULL;
        if (why_not) {
                fail(r, why_not);
                return;
        }
        r->stream = channel_open(vm_channel(r->vm), varlink_call_new(method, take_ptr(r->parameters), VARLINK_UPGRADE),
                                 &agent_events, r, &err);
        if (!r->stream) {
                fail(r, &err);
                return;
        }
        r->deadline = loop_add_timer(r->loop, on_deadline, r);
        loop_timer_arm(r->deadline, ANSWER_TIMEOUT_MS);
}

void relay_start(struct loop *loop, struct vm *vm, struct call *call, const char *method, struct json_object *parameters)
{
        struct relay *r = xcalloc(1, sizeof(*r));
        struct vm_waiter *waiter;

        r->loop = loop;
        r->vm = vm;
        r->call = call;
        r->method = method;
        r->parameters = parameters;
        frame_decoder_init(&r->decoder, false);
        call_on_cancel(call, on_cancel, r);
        waiter = vm_when_ready(vm, READY_TIMEOUT_MS, on_agent_there, r);
        if (waiter)
                r->waiter = waiter; /* else r may be gone already */
}
