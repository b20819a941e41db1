/* SPDX-License-Identifier: MIT */
/* Gives the agent in a VM our own copy of its program, through its channel (org.initvm.agent.Update). */
#pragma once

#include "daemon/channel.h"

/* From the first byte to the agent's answer. Some MB, at the few MB/s of a loaded guest under emulation. */
#define AGENT_UPDATE_TIMEOUT_MS (120 * 1000)

struct agent_update;

/* err is NULL when the new program is in place: the agent executes it, commands go on, and its next Hello has the new version. */
typedef void (*agent_update_fn)(void *userdata, const struct error *err);

/* NULL with err when it cannot begin. */
struct agent_update *agent_update_start(struct loop *loop, struct channel *channel, agent_update_fn done, void *userdata,
                                        struct error *err);

/* Ends it without a callback; the agent drops what it has got. NULL is fine. */
void agent_update_cancel(struct agent_update *u);
