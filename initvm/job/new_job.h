/* SPDX-License-Identifier: MIT */
/* A job that is being made: a hidden folder, locked with flock(2) by its maker, until one rename gives it its id. */
#pragma once

#include "job/job.h"

/* Makes job `id` out of a stream: one line with its spec, and a tar archive of its inputs if the spec says so.  One with the same
 * token that is there already is left alone, and nothing is read.  One with another token, or of another boot and not begun, is
 * stopped and removed. For processes that do nothing else: umask(2) must be 0. */
int new_job(const struct jobs *jobs, const char *id, const char *token, int stream, struct error *err);

/* Removes the folders whose makers have ended without doing so. */
void new_jobs_remove_left(const struct jobs *jobs);
