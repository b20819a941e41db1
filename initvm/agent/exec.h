/* SPDX-License-Identifier: MIT */
/*
 * One command and its stream.  Replies: {"pid"} once it runs, its output as data, {"exited"} or {"signaled"} when it is reaped
 * and both outputs are at their end; or an error.  When the stream goes away first, the command's process group gets SIGHUP, and
 * SIGKILL when something of it is left after EXEC_KILL_AFTER_MS; a terminal is hung up.
 */
#pragma once

#include "agent/agent.h"
#include "agent/request.h"

#define EXEC_KILL_AFTER_MS 5000 /* enough for a build to remove its temporary files */

/* Takes the stream: answers on it, also errors, and ends it. Takes what it needs out of the request, too. */
void exec_start(struct agent *agent, struct stream *stream, struct request *request);

/* For a successor (agent/handover.h): all commands that are not in the middle of being started, as an owned array; and those of
 * such an array as ours. */
struct json_object *exec_save(struct agent *agent, struct buf *bytes);
int exec_resume(struct agent *agent, struct json_object *saved, const struct buf *bytes, struct error *err);
