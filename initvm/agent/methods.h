/* SPDX-License-Identifier: MIT */
/* What the agent does when the host opens a stream: wire/org.initvm.agent.varlink. */
#pragma once

#include "agent/agent.h"

#include <stddef.h>
#include <stdint.h>

/* For struct mux_handler; userdata is the struct agent. */
void methods_open(void *userdata, struct stream *stream, const uint8_t *call, size_t n);
struct json_object *methods_hello(void *userdata);
