/* SPDX-License-Identifier: MIT */
#pragma once

#include "job/place.h"

/* place_run() in the machine itself. */
int place_run_here(struct place *p, const struct place_command *c, int *ret_wait_status, struct error *err);
