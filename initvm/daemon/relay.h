/* SPDX-License-Identifier: MIT */
/* One call of a client that the agent answers: its upgraded connection on one side, a stream of the agent's port on the other. */
#pragma once

#include "daemon/vm.h"
#include "io/server.h"

/* Opens the stream as soon as the agent is there; the call is answered (upgraded, or failed) when the agent has answered. The
 * relay frees itself. `method` is one of org.initvm.agent, without the interface's name, static; `parameters` are the agent's,
 * owned. */
void relay_start(struct loop *loop, struct vm *vm, struct call *call, const char *method, struct json_object *parameters);
