/* SPDX-License-Identifier: MIT */
/* What the agent tells of itself and of the guest, in Hello and GetInfo. */
#pragma once

#include "base/json.h"

/* The protocol versions this agent speaks (the frames, the sync, the methods). */
#define AGENT_PROTOCOL_MIN 1
#define AGENT_PROTOCOL_MAX 1

extern const char agent_version[];

/* Read afresh each time: the host name may have been set since. Owned. */
struct json_object *info_new(void);
