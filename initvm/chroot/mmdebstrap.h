/* SPDX-License-Identifier: MIT */
/* mmdebstrap(1) in namespaces of its own, so that nothing of it is left mounted or running however it ends. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* Runs it to its end. With `stages` what it does is told as stages (archive/report.h). An error is one sentence with its own
 * reason; a signal that ends us ends it, too: ERR_CANCELLED. */
int mmdebstrap_run(char *const *argv, bool stages, struct error *err);
