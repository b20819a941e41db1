/* SPDX-License-Identifier: MIT */
/*
 * A listener in the VM is a stream, which is lost with the daemon or with the VM.  Then it is made anew: the daemon tells when
 * the VM's agent answers again, however long that takes.
 */
#include "cli/daemon.h"
#include "cli/forward.h"
#include "io/conn.h"
#include "io/socket.h"
#include "wire/frame.h"
#include "wire/varlink.h"

#include <stdlib.h>
#include <unistd.h>

/* Attempts in a row that end before it listens again: then there is something that waiting does not cure. */
#define RELISTEN_MAX 5

enum reverse_state {
        REVERSE_WAITING,   /* for the VM */
        REVERSE_ASKING,    /* for the listener */
        REVERSE_LISTENING, /* frames */
};

struct reverse_listener {
        struct forward *forward;
        struct address target; /* on the host */
        struct address remote; /* in the VM: asked for, then what it became */
        char *remote_text;
        char *label;
        enum reverse_state state;
        struct conn *conn;
        struct frame_decoder decoder;
        unsigned attempts; /* since it listened last */
        struct reverse_dial *dials;
        struct reverse_listener *next;
};

/* A connection that came, while the host's end is being connected. */
struct reverse_dial {
        struct reverse_listener *listener;
        uint64_t connection;
        struct dial *dial;
        struct reverse_dial *prev, *next;
};

static int connect_again(struct reverse_listener *r, struct error *err);

static void dial_forget(struct reverse_dial *d)
{
        if (d->prev)
                d->prev->next = d->next;
        else
                d->listener->dials = d->next;
        if (d->next)
                d->next->prev = d->prev;
        free(d);
}

static void let_go(struct reverse_listener *r)
{
        conn_free(take_ptr(r->conn));
        frame_decoder_done(&r->decoder);
        frame_decoder_init(&r->decoder, false);
}

void forward_reverse_free(struct reverse_listener *all)
{
        while (all) {
                struct reverse_listener *r = all;

                all = r->next;
                while (r->dials) {
                        dial_cancel(r->dials->dial);
                        dial_forget(r->dials);
                }
                let_go(r);
                frame_decoder_done(&r->decoder);
                free(r->remote_text);
                free(r->label);
                free(r);
        }
}

static void give_up(struct reverse_listener *r, const struct error *err)
{
        *r->forward->err = *err;
        error_prefix(r->forward->err, "%s", r->label);
        loop_quit(r->forward->loop, -1);
}

/* The listener is gone. What waiting cures is waited for. */
static void lost(struct reverse_listener *r, const struct error *why)
{
        struct error err = *why;
        bool passes = err.code == ERR_DISCONNECTED || err.code == ERR_STATE || err.code == ERR_TIMEOUT;

        let_go(r);
        if (r->state == REVERSE_LISTENING)
                forward_complain(r->label, &err);
        if (!passes || ++r->attempts > RELISTEN_MAX || connect_again(r, &err) < 0)
                give_up(r, &err);
}

static void lost_connection(struct reverse_listener *r)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_DISCONNECTED, "the connection to the daemon was lost");
        lost(r, &err);
}

/* ---- connections that come */

static struct json_object *accept_parameters(const struct reverse_listener *r, uint64_t connection)
{
        struct json_object *o = json_new();

        json_add_string(o, "name", r->forward->name);
        json_add_u64(o, "connection", connection);
        return o;
}

/* Takes the connection to reset it, so that who came in the VM need not wait for that. Without an answer: it does not matter. */
static void refuse(const struct reverse_listener *r, uint64_t connection)
{
        struct error err = ERROR_INIT;
        autoclose int fd = forward_connect_daemon(&err);
        autobuf struct buf call = {0};

        varlink_write_call(&call, "org.initvm.Accept", accept_parameters(r, connection), VARLINK_UPGRADE);
        if (fd >= 0)
                (void)!send(fd, buf_head(&call), buf_size(&call), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void on_dialed(void *userdata, int owned_fd, int errnum)
{
        struct reverse_dial *d = userdata;
        struct reverse_listener *r = d->listener;
        struct error err = ERROR_INIT;

        if (owned_fd >= 0) {
                forward_carry(r->forward, r->label, "org.initvm.Accept", accept_parameters(r, d->connection), owned_fd);
        } else {
                dial_error(&r->target, "on the host", errnum, &err);
                forward_complain(r->label, &err);
                refuse(r, d->connection);
        }
        dial_forget(d);
}

static void take_connection(struct reverse_listener *r, uint64_t connection)
{
        struct error err = ERROR_INIT;
        struct reverse_dial *d;

        if (forward_is_full(r->forward)) {
                error_set(&err, ERR_STATE, "more than %d connections at once", FORWARD_CONNECTIONS_MAX);
                forward_complain(r->label, &err);
                refuse(r, connection);
                return;
        }
        d = xcalloc(1, sizeof(*d));
        d->listener = r;
        d->connection = connection;
        d->next = r->dials;
        if (d->next)
                d->next->prev = d;
        r->dials = d;
        d->dial = dial_start(r->forward->loop, &r->target, on_dialed, d);
}

/* False when the listener is gone. */
static bool take_frame(struct reverse_listener *r, const struct frame *f)
{
        struct error err = ERROR_INIT;
        struct json_object *parameters = NULL;
        autojson struct json_object *message = NULL;

        if (f->type == FRAME_CLOSE) {
                lost_connection(r);
                return false;
        }
        if (f->type != FRAME_MESSAGE)
                return true;
        message = json_parse((const char *)f->payload, f->size, &err);
        if (!message || varlink_read_reply(message, &parameters, NULL, &err) < 0) {
                lost(r, &err);
                return false;
        }
        if (json_get(parameters, "connection"))
                take_connection(r, json_get_u64(parameters, "connection", 0));
        return true;
}

static void take_frames(struct reverse_listener *r)
{
        struct buf *in = conn_input(r->conn);
        struct frame f;
        int got = 0;

        while (buf_size(in) > 0) {
                size_t n = MIN(buf_size(in), (size_t)CONN_READ_SIZE);

                frame_decoder_push(&r->decoder, buf_head(in), n);
                buf_consume(in, n);
                while ((got = frame_decoder_next(&r->decoder, &f)) > 0)
                        if (!take_frame(r, &f))
                                return;
                if (got < 0) {
                        lost_connection(r);
                        return;
                }
        }
}

/* ---- making it */

static void call(struct reverse_listener *r, enum reverse_state state)
{
        struct json_object *parameters = json_new();

        r->state = state;
        json_add_string(parameters, "name", r->forward->name);
        if (state == REVERSE_ASKING)
                json_add_string(parameters, "address", r->remote_text);
        varlink_write_call(conn_output(r->conn), state == REVERSE_ASKING ? "org.initvm.Listen" : "org.initvm.WaitReady",
                           parameters, state == REVERSE_ASKING ? VARLINK_UPGRADE : 0);
        conn_flush(r->conn);
}

/* It listens: where, is known now, and that is where it will listen again. */
static void begin(struct reverse_listener *r, struct json_object *parameters)
{
        struct error err = ERROR_INIT;

        if (address_parse(json_get_string(parameters, "address", ""), &r->remote, &err) < 0) {
                lost(r, &err);
                return;
        }
        free(r->remote_text);
        r->remote_text = address_text(&r->remote);
        free(r->label);
        r->label = xasprintf("%s in '%s'", r->remote_text, r->forward->name);
        r->state = REVERSE_LISTENING;
        r->attempts = 0;
        forward_announce(r->forward, &r->remote, true, &r->target);
        take_frames(r);
}

static void on_input(void *userdata)
{
        struct reverse_listener *r = userdata;
        struct error err = ERROR_INIT;
        struct json_object *parameters = NULL;
        autojson struct json_object *reply = NULL;
        int got;

        if (r->state == REVERSE_LISTENING) {
                take_frames(r);
                return;
        }
        got = varlink_take(conn_input(r->conn), &reply, &err);
        if (got == 0)
                return;
        if (got < 0 || varlink_read_reply(reply, &parameters, NULL, &err) < 0)
                lost(r, &err);
        else if (r->state == REVERSE_WAITING)
                call(r, REVERSE_ASKING);
        else
                begin(r, parameters);
}

static void on_ended(void *userdata)
{
        lost_connection(userdata);
}

static const struct conn_events events = {.input = on_input, .ended = on_ended};

static int connect_again(struct reverse_listener *r, struct error *err)
{
        int fd = forward_connect_daemon(err);

        if (fd < 0)
                return -1;
        r->conn = conn_new(r->forward->loop, fd, &events, r);
        call(r, REVERSE_WAITING);
        return 0;
}

int forward_reverse(struct forward *f, const struct forward_spec *spec, struct error *err)
{
        struct reverse_listener *r = xcalloc(1, sizeof(*r));

        r->forward = f;
        r->target = spec->local;
        r->remote = spec->remote;
        r->remote_text = address_text(&r->remote);
        r->label = xasprintf("%s in '%s'", r->remote_text, f->name);
        frame_decoder_init(&r->decoder, false);
        r->next = f->reverses;
        f->reverses = r;
        return connect_again(r, err);
}
