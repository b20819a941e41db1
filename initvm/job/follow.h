/* SPDX-License-Identifier: MIT */
/* A job's log as it grows, for one who reads along. */
#pragma once

#include "job/job.h"

#define FOLLOW_BEAT_MS 10000u

/* Writes the log from `offset` on to standard output, and returns when the job has ended and all of it is written.  Every
 * `beat_ms` (FOLLOW_BEAT_MS but in tests) a report (archive/report.h) on standard error explains the silence:
 * {"heartbeat": {"silence": ms since it wrote last, "cpu": usec, "memory": bytes, "read": bytes, "written": bytes}}.
 * ERR_STATE: the job is lost. ERR_NOT_FOUND: it was removed. */
int follow(const struct job *job, uint64_t offset, unsigned beat_ms, struct error *err);
