/* SPDX-License-Identifier: MIT */
/*
 * One forwarded connection: a socket here, and a connection of the daemon that stands for a socket in the VM.  What ends on one
 * side ends on the other, each direction by itself; a reset becomes a reset.
 *
 * Bounds: the socket is read only while the VM's side has given credit, and credit is given back only for what the socket has
 * taken: a window each way.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "io/loop.h"

struct tunnel;

/* Called once, unless tunnel_free() comes first; the tunnel frees itself. err is NULL when both directions have ended in order.
 */
typedef void (*tunnel_fn)(void *userdata, const struct error *err);

/* Calls `method` (Connect or Accept of org.initvm) on a connection to the daemon (`daemon_fd`, owned), and passes on between it
 * and `socket_fd` (owned). `parameters` is taken. */
struct tunnel *tunnel_new(struct loop *loop, int daemon_fd, const char *method, struct json_object *parameters, int socket_fd,
                          tunnel_fn fn, void *userdata);
void tunnel_free(struct tunnel *t); /* resets both sides; NULL is fine */
