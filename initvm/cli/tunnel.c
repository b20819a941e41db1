/* SPDX-License-Identifier: MIT */
#include "cli/tunnel.h"

#include "cli/daemon.h"
#include "io/conn.h"
#include "io/socket.h"
#include "wire/frame.h"
#include "wire/varlink.h"

#include <stdlib.h>
#include <unistd.h>

/* The one stream of an upgraded connection. */
#define STREAM 1

/* Bytes that wait for the daemon: the socket is not read above it. Two frames keep it busy. */
#define QUEUE_MAX (128u * 1024)

/* Credit is given back in pieces of this size: few frames, and never a starving sender. */
#define CREDIT_STEP (FRAME_WINDOW / 8)

struct tunnel {
        struct loop *loop;
        struct conn *daemon;
        struct conn *socket;
        int socket_fd; /* for a reset: it is the conn's */
        struct frame_decoder decoder;
        struct loop_source *deadline; /* until the daemon has answered */
        bool socket_ended;            /* nothing more is read from it */
        bool eof_sent;
        bool ended_well; /* the final reply */
        uint32_t credit; /* what the VM's side still takes */
        uint64_t received, granted;
        tunnel_fn fn;
        void *userdata;
};

/* In order: what is queued for the socket still goes out. Else it is reset. */
static void destroy(struct tunnel *t, bool in_order)
{
        conn_free(t->daemon);
        if (in_order) {
                conn_finish(t->socket);
        } else {
                int fd = dup(t->socket_fd);

                conn_free(t->socket);
                if (fd >= 0)
                        socket_reset(fd);
        }
        loop_source_free(t->deadline);
        frame_decoder_done(&t->decoder);
        free(t);
}

void tunnel_free(struct tunnel *t)
{
        if (t)
                destroy(t, false);
}

static void finish(struct tunnel *t, const struct error *err)
{
        tunnel_fn fn = t->fn;
        void *userdata = t->userdata;

        destroy(t, !err);
        fn(userdata, err);
}

static void fail(struct tunnel *t, enum error_code code, const char *what)
{
        struct error err = ERROR_INIT;

        error_set(&err, code, "%s", what);
        finish(t, &err);
}

/* ---- from the socket to the VM */

static bool answered(const struct tunnel *t)
{
        return !t->deadline;
}

/* Sends what may be sent of what was read, and lets more be read when that is all gone. */
static void pump_input(struct tunnel *t)
{
        struct buf *in = conn_input(t->socket);

        while (answered(t) && buf_size(in) > 0 && t->credit > 0 && conn_queued(t->daemon) < QUEUE_MAX) {
                size_t n = MIN(MIN(buf_size(in), (size_t)t->credit), (size_t)FRAME_PAYLOAD_MAX);

                frame_write(conn_output(t->daemon), FRAME_DATA, STREAM, CHANNEL_STDIN, buf_head(in), n);
                buf_consume(in, n);
                t->credit -= (uint32_t)n;
                conn_flush(t->daemon);
        }
        if (answered(t) && t->socket_ended && buf_size(in) == 0 && !t->eof_sent) {
                t->eof_sent = true;
                frame_write(conn_output(t->daemon), FRAME_EOF, STREAM, CHANNEL_STDIN, NULL, 0);
                conn_flush(t->daemon);
        }
        conn_pause_input(t->socket, buf_size(in) > 0);
}

static void on_socket_input(void *userdata)
{
        pump_input(userdata);
}

static void on_socket_ended(void *userdata)
{
        struct tunnel *t = userdata;

        if (conn_failed(t->socket)) {
                finish(t, NULL); /* reset by its owner: nobody is left to tell, and the VM's side is reset, too */
                return;
        }
        t->socket_ended = true;
        pump_input(t);
}

/* ---- from the VM to the socket */

static void grant(struct tunnel *t)
{
        uint64_t taken = t->received - conn_queued(t->socket);

        if (taken - t->granted < CREDIT_STEP)
                return;
        frame_write_credit(conn_output(t->daemon), STREAM, (uint32_t)(taken - t->granted));
        conn_flush(t->daemon);
        t->granted = taken;
}

static void on_socket_drained(void *userdata)
{
        grant(userdata);
}

static const struct conn_events socket_events = {
        .input = on_socket_input, .ended = on_socket_ended, .drained = on_socket_drained};

static void take_message(struct tunnel *t, const struct frame *f, struct error *err)
{
        struct json_object *parameters = NULL;
        autojson struct json_object *message = json_parse((const char *)f->payload, f->size, err);

        t->ended_well = message && varlink_read_reply(message, &parameters, NULL, err) == 0;
}

/* False when the tunnel has ended. */
static bool take_frame(struct tunnel *t, const struct frame *f)
{
        struct error err = ERROR_INIT;

        switch (f->type) {
        case FRAME_DATA:
                if (t->socket_ended && conn_broken(t->socket)) { /* its owner has gone altogether */
                        finish(t, NULL);
                        return false;
                }
                buf_append(conn_output(t->socket), f->payload, f->size);
                conn_flush(t->socket);
                t->received += f->size;
                grant(t);
                return true;
        case FRAME_EOF:
                conn_end_output(t->socket);
                return true;
        case FRAME_CREDIT:
                if (__builtin_add_overflow(t->credit, frame_credit(f), &t->credit))
                        t->credit = UINT32_MAX;
                pump_input(t);
                return true;
        case FRAME_MESSAGE:
                take_message(t, f, &err);
                if (t->ended_well)
                        return true;
                finish(t, &err);
                return false;
        case FRAME_CLOSE:
                if (t->ended_well)
                        finish(t, NULL);
                else
                        fail(t, ERR_DISCONNECTED, "the connection to the VM was lost");
                return false;
        default:
                return true;
        }
}

/* The reply to the call. False when the tunnel has ended. */
static bool take_answer(struct tunnel *t)
{
        autojson struct json_object *reply = NULL;
        struct json_object *parameters = NULL;
        struct error err = ERROR_INIT;
        int r = varlink_take(conn_input(t->daemon), &reply, &err);

        if (r == 0)
                return true;
        if (r < 0 || varlink_read_reply(reply, &parameters, NULL, &err) < 0) {
                finish(t, &err);
                return false;
        }
        loop_source_free(take_ptr(t->deadline));
        pump_input(t);
        return true;
}

static void on_daemon_input(void *userdata)
{
        struct tunnel *t = userdata;
        struct buf *in = conn_input(t->daemon);
        struct frame f;
        int r;

        if (!answered(t) && !take_answer(t))
                return;
        while (answered(t) && buf_size(in) > 0) {
                size_t n = MIN(buf_size(in), (size_t)CONN_READ_SIZE);

                frame_decoder_push(&t->decoder, buf_head(in), n);
                buf_consume(in, n);
                while ((r = frame_decoder_next(&t->decoder, &f)) > 0)
                        if (!take_frame(t, &f))
                                return;
                if (r < 0) {
                        fail(t, ERR_PROTOCOL, "the daemon sent something that is no frame");
                        return;
                }
        }
}

static void on_daemon_ended(void *userdata)
{
        fail(userdata, ERR_DISCONNECTED, "the daemon closed the connection; 'initvm daemon log' may say why");
}

static void on_daemon_drained(void *userdata)
{
        pump_input(userdata);
}

static const struct conn_events daemon_events = {
        .input = on_daemon_input, .ended = on_daemon_ended, .drained = on_daemon_drained};

static void on_deadline(void *userdata)
{
        fail(userdata, ERR_TIMEOUT, "the daemon did not answer in time; see 'initvm daemon log'");
}

struct tunnel *tunnel_new(struct loop *loop, int daemon_fd, const char *method, struct json_object *parameters, int socket_fd,
                          tunnel_fn fn, void *userdata)
{
        struct tunnel *t = xcalloc(1, sizeof(*t));

        t->loop = loop;
        t->socket_fd = socket_fd;
        t->credit = FRAME_WINDOW;
        t->fn = fn;
        t->userdata = userdata;
        frame_decoder_init(&t->decoder, false);
        t->deadline = loop_add_timer(loop, on_deadline, t);
        loop_timer_arm(t->deadline, CALL_DEADLINE_MS);
        t->daemon = conn_new(loop, daemon_fd, &daemon_events, t);
        t->socket = conn_new(loop, socket_fd, &socket_events, t);
        varlink_write_call(conn_output(t->daemon), method, parameters, VARLINK_UPGRADE);
        conn_flush(t->daemon);
        return t;
}
