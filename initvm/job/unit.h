/* SPDX-License-Identifier: MIT */
/*
 * A job as a transient unit of systemd, which keeps its limits and knows how it ended: initvm-job-ID.service in
 * initvm-jobs.slice.
 *
 *   TimeoutStopSec   SIGTERM to the keeper, who passes it on; then SIGKILL to everything
 *   WatchdogSec      the keeper tells systemd whenever output comes
 *   ExecStopPost     writes the result, however the job ended (end.h)
 */
#pragma once

#include "job/job.h"
#include "job/spec.h"

/* How long a job has from SIGTERM to SIGKILL. */
#define UNIT_STOP_S 10

/* The words of systemd-run(1). `program` is the agent's own. Owned. */
char **unit_start_argv(const struct job *job, const struct spec *spec, const char *program);

/* Returns when its keeper is executed. One that runs already, or has ended: success. */
int unit_start(const struct job *job, const struct spec *spec, struct error *err);

/* Returns when nothing of it runs any more, and its result is written. One that does not run: success. */
int unit_stop(const struct job *job, struct error *err);
