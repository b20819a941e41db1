/* SPDX-License-Identifier: MIT */
/* What the agent tells of itself and of the guest, in Hello and GetInfo. */
#pragma once

#include "base/json.h"

extern const char agent_version[];

extern const char agent_architecture[]; /* Debian's name of what the guest's userland is */

/* Read afresh each time: the host name may have been set since. Owned. */
struct json_object *info_new(void);
