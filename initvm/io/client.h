/* SPDX-License-Identifier: MIT */
/*
 * A blocking Varlink client on the daemon's unix socket.  It speaks only to a daemon of its own user: whoever else listens
 * there could answer anything, and would learn what is run.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/util.h"
#include "wire/varlink.h"

struct client;

/* Connects, and checks the peer's uid (SO_PEERCRED, unix(7)). NULL with ERR_NOT_FOUND when nobody listens there, ERR_DENIED
 * when the socket or the daemon is another user's. */
struct client *client_connect(const char *path, struct error *err);
void client_free(struct client *c);
#define autoclient __attribute__((cleanup(cleanup_client)))
static inline void cleanup_client(struct client **c)
{
        client_free(*c);
}

/* Sends a call. `parameters` is taken, and may be NULL; flags as in wire/varlink.h. */
int client_send(struct client *c, const char *method, struct json_object *parameters, unsigned flags, struct error *err);

/* Reads once what has come, blocking when nothing has: 1, or 0 when the peer has closed. */
int client_fill(struct client *c, struct error *err);

/* Takes the next whole message out of what has been read, as varlink_take(). */
int client_take(struct client *c, struct json_object **ret, struct error *err);

/* Waits for the next message (owned). ERR_TIMEOUT when none comes in deadline_ms, ERR_DISCONNECTED at the end. */
int client_receive(struct client *c, unsigned deadline_ms, struct json_object **ret, struct error *err);

/* One call, one reply: its parameters (owned; never NULL on success) go to *ret unless ret is NULL. */
int client_call(struct client *c, const char *method, struct json_object *parameters, unsigned flags, unsigned deadline_ms,
                struct json_object **ret, struct error *err);

/* Tells the peer that nothing more will come; its answers can still be read. */
void client_end_sending(struct client *c);

/* The fd, which stays the client's: to wait on it in an event loop. */
int client_fd(const struct client *c);

/* A pidfd (owned) of the process that listens, pidfd_open(2); -1 when it cannot be had. */
int client_peer_process(const struct client *c);

/* Ends the client and hands over its fd (owned by the caller now) and the bytes that were read behind the last message: what
 * an upgraded connection goes on with. */
int client_release(struct client *c, struct buf *ret_unread);
