/* SPDX-License-Identifier: MIT */
/* Artifacts of a job: from its folder into one of the user's. */
#pragma once

#include "base/error.h"
#include "base/json.h"

/* "./initvm-build-20261122-094512": owned. */
char *job_output_default(void);

/* The folder can be used, or can be made: ERR_EXISTS when something else is in the way. Nothing is made. */
int job_output_check(const char *folder, struct error *err);

/* Unpacks them; each appears under its name when it is whole, instead of one that is there. May be done again. ERR_NOT_FOUND when
 * there are none. */
int job_fetch(struct json_object *job, const char *folder, struct error *err);
