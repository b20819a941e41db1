/* SPDX-License-Identifier: MIT */
/* Builds the Progress of the interface. All return owned objects; strings are copied. */
#pragma once

#include "base/json.h"

/* state: begin, update or end; text may be NULL; elapsed in milliseconds. */
struct json_object *progress_stage(const char *stage, const char *state, const char *text, uint64_t elapsed);
struct json_object *progress_notice(const char *text);
struct json_object *progress_warning(const char *text);
