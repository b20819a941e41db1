/* SPDX-License-Identifier: MIT */
/* The last step of a job's unit, however it ended: also when its keeper was killed. */
#pragma once

#include "job/job.h"

/* argv: "--job-end" ID [STATE RUNTIME], with systemd's $SERVICE_RESULT and $EXIT_STATUS. Writes the result, and removes what the
 * job has left in the place of chroots. Returns the exit status. */
int end_main(int argc, char **argv);

/* Writes the result of one that was cancelled before it had begun. */
int end_unstarted(const struct job *job, struct error *err);
