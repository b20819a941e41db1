/* SPDX-License-Identifier: MIT */
/* One exec of a client: its upgraded connection on one side, a stream of the agent's port on the other. */
#pragma once

#include "daemon/channel.h"
#include "io/server.h"

/* Opens the stream; the call is answered (upgraded, or failed) when the agent has answered. The relay frees itself. */
int relay_exec(struct channel *channel, struct call *call, struct json_object *parameters, struct loop *loop, struct error *err);
