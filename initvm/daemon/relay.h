/* SPDX-License-Identifier: MIT */
/* One exec of a client: its upgraded connection on one side, a stream of the agent's port on the other. */
#pragma once

#include "daemon/vm.h"
#include "io/server.h"

/* Opens the stream as soon as the agent is there; the call is answered (upgraded, or failed) when the agent has answered. The
 * relay frees itself. `parameters` are the agent's, owned. */
void relay_exec(struct loop *loop, struct vm *vm, struct call *call, struct json_object *parameters);
