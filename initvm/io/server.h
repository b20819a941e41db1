/* SPDX-License-Identifier: MIT */
/*
 * A Varlink server on a listening unix socket: accepts peers of our own uid only, bounds clients and messages, answers
 * org.varlink.service itself, and hands every other call to a table of methods.
 *
 * One call at a time per connection (further ones wait in its buffer, as Varlink allows).  A handler either fails at once
 * (returns -1), or returns 0 and answers the call, then or later, with exactly one of call_reply(), call_fail() and
 * call_upgrade(); before that any number of call_progress() when the caller said "more".
 */
#pragma once

#include "base/error.h"
#include "io/conn.h"
#include "io/loop.h"
#include "wire/varlink.h"

struct server;
struct call;

#define SERVER_CLIENTS_MAX 256 /* connections at once; the next one is told so and closed */

struct server_method {
        const char *name; /* "org.initvm.Start" */
        bool more;        /* must be called with "more" */
        bool upgrade;     /* must be called with "upgrade" */
        int (*handle)(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
};

struct server_interface {
        const char *name;        /* "org.initvm" */
        const char *description; /* the text of its .varlink file */
        const struct server_method *methods;
        size_t n_methods;
};

/* listen_fd is owned. `interface` must outlive the server. */
struct server *server_new(struct loop *loop, int listen_fd, const struct server_interface *interface, const char *version,
                          void *userdata);
void server_free(struct server *s); /* closes all connections; running calls are cancelled */
size_t server_clients(const struct server *s);

void call_progress(struct call *call, struct json_object *owned_parameters);
void call_reply(struct call *call, struct json_object *owned_parameters);
void call_fail(struct call *call, const struct error *error);

/* Replies and hands the connection over; bytes that already came are in conn_input(). Owned by the caller of this. */
struct conn *call_upgrade(struct call *call, struct json_object *owned_parameters);

/* fn is called (once) when the client went away or shut down its side before the answer. The handler must still answer
 * (it will not be heard by a client that is gone). NULL to unset. */
void call_on_cancel(struct call *call, void (*fn)(void *userdata), void *userdata);
