/* SPDX-License-Identifier: MIT */
/*
 * What of a job's workspace goes to the host: what its globs match, as glob(7) has them, relative to the workspace and component
 * by component; a folder with everything in it.  A name that begins with a dot is matched only by a dot.  No symbolic link is
 * followed, and one that leads out of the workspace is refused.
 */
#pragma once

#include "job/job.h"

/* Matches of all globs; more is a mistake in one of them. */
#define ARTIFACTS_MAX 10000

/* The paths, relative to `folder`, sorted, each once. Fails for a glob that matches nothing unless `allow_empty`, and for one
 * that is absolute or has '..'. Owned. */
char **artifacts_match(const char *folder, char *const *globs, bool allow_empty, struct error *err);

/* Writes them as a tar archive to standard output, under those paths; before it, on standard error, a report for each regular
 * file:
 * {"artifact": {"name": path, "size": bytes, "sha256": hexadecimal digits}}. */
int artifacts_send(const struct job *job, char *const *globs, bool allow_empty, struct error *err);
