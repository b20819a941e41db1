/* SPDX-License-Identifier: MIT */
/* Connecting to an address without blocking, and listening on one. */
#pragma once

#include "base/address.h"
#include "io/loop.h"

/* Until a connection stands. Loopback and a machine nearby need milliseconds; a lost packet is sent again after one and three
 * seconds (tcp(7)). */
#define DIAL_TIMEOUT_MS 10000u

/*
 * Tries the address (both, of localhost) under one deadline.  fn is called once, later: with a connected fd (owned by it,
 * non-blocking), or with -1 and the reason as an errno: ETIMEDOUT after DIAL_TIMEOUT_MS, EAGAIN when the queue of a unix socket
 * is full (unix(7)).
 */
typedef void (*dial_fn)(void *userdata, int owned_fd, int errnum);
struct dial;
struct dial *dial_start(struct loop *loop, const struct address *address, dial_fn fn, void *userdata);
void dial_cancel(struct dial *d); /* fn is not called any more; NULL is fine */

/* The sentence for such a reason; `where` is "in the VM" or "on the host". ERR_NOT_FOUND when nothing listens. Returns -1. */
int dial_error(const struct address *address, const char *where, int errnum, struct error *err);

/* Connections that wait to be accepted. */
#define LISTEN_BACKLOG 64

/*
 * Listens; *ret_bound says where, with the port that was chosen for port 0.  A unix socket is for its user alone (0600); the file
 * of one on which nobody listens any more is replaced.  Returns the fd (non-blocking), or -1.
 */
int socket_listen(const struct address *address, const char *where, struct address *ret_bound, struct error *err);

/* The address that a listener was given: removes the file of a unix socket. */
void socket_unlink(const struct address *bound);

/* What is sent is sent now, in small pieces as well: these are streams that somebody types into. A unix socket is fine. */
void socket_no_delay(int fd);

/* Closes with a reset instead of an end, so that the peer does not take what it got for all there was. */
void socket_reset(int owned_fd);
