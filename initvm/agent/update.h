/* SPDX-License-Identifier: MIT */
/*
 * The host gives the agent a newer program of itself.  It is written beside the running one, executed once with --check-resume
 * (does it run here, and does it understand what it would be handed?), renamed over it, and then executed in its place:
 * handover.h.
 */
#pragma once

#include "agent/agent.h"

#include <stdint.h>

/* Executing it for the check; it does nothing but answer. */
#define UPDATE_CHECK_TIMEOUT_MS 30000

/* Takes the stream; `size` bytes are awaited on it. */
void update_start(struct agent *agent, struct stream *stream, uint64_t size);
