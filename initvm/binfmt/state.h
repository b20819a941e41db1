/* SPDX-License-Identifier: MIT */
/* What the agent has found out about the architectures of this boot (agent/binfmt.h), for whoever is to run their programs. */
#pragma once

#include "base/error.h"
#include "base/json.h"

#define BINFMT_STATE_FOLDER "/run/initvm-agent"
#define BINFMT_STATE        BINFMT_STATE_FOLDER "/binfmt.json"

/* ERR_UNSUPPORTED, with what the proof said and what to do, when `rows` say of an architecture that its programs cannot be
 * executed. 0 also when they do not say, or rows is NULL: the agent has not come to it yet. */
int binfmt_state_check(struct json_object *rows, const char *architecture, struct error *err);
