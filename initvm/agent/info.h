/* SPDX-License-Identifier: MIT */
/* What the agent tells of itself and of the guest, in Hello and GetInfo. */
#pragma once

#include "base/json.h"

extern const char agent_version[];

/* Read afresh each time: the host name may have been set since. Owned. */
struct json_object *info_new(void);
