/* SPDX-License-Identifier: MIT */
/*
 * A socket in the guest and its stream.  Replies: {} once it is connected ("continues"), what the peer sends as data of channel 1
 * with EOF at its end, {} and CLOSE when both directions have ended; or an error, ERR_DISCONNECTED when the peer resets.  The
 * host's EOF shuts our sending side down; its CLOSE before both ends resets the connection.
 *
 * Bounds: what the peer sends stays in the socket until there is credit; what it does not take is kept, a window at most.
 */
#pragma once

#include "agent/agent.h"
#include "base/address.h"

/* Takes the stream: answers on it, also errors, and ends it. Gives up after DIAL_TIMEOUT_MS. */
void connect_start(struct agent *agent, struct stream *stream, const struct address *address);

/* The same with a socket that is connected already (owned, non-blocking). */
void connect_take(struct agent *agent, struct stream *stream, int owned_fd);
