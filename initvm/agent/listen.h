/* SPDX-License-Identifier: MIT */
/*
 * Listening in the guest for the host.  Replies: {"address": where} once it listens, then {"connection": N} for each connection
 * that came; all with "continues", until the host closes the stream.  The host takes a connection with Accept; N is random, so
 * that it names this one only.
 *
 * Bounds: LISTEN_WAITING_MAX connections wait to be taken, further ones in the kernel's queue; one that is not taken after
 * LISTEN_CLAIM_TIMEOUT_MS is reset.
 */
#pragma once

#include "agent/agent.h"
#include "base/address.h"

#define LISTENERS_MAX           16
#define LISTEN_WAITING_MAX      16
#define LISTEN_CLAIM_TIMEOUT_MS 10000

/* Takes the stream: answers on it, also errors, and ends it. */
void listen_start(struct agent *agent, struct stream *stream, const struct address *address);

/* Takes the stream for the connection of that number: connect.h says how it goes on. ERR_NOT_FOUND when none has it. */
void listen_accept(struct agent *agent, struct stream *stream, uint64_t connection);
