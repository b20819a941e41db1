/* SPDX-License-Identifier: MIT */
/*
 * The other side of a run (io/run.h): one of our own programs that it, or a tool of its, has started.  What such a process is
 * given is JSON in a memory file, which can be read more than once; what it tells goes as lines of JSON into the run's pipe.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

/* A memory file with this object (borrowed): an fd, or -1 with err. */
int run_hook_memory(const char *name, struct json_object *o, struct error *err);

/* Writes it into one that is there; an fd of -1 is its failure to be made. */
int run_hook_write(int fd, struct json_object *o, struct error *err);

/* The object in such a file, from its start, wherever an earlier reader left the offset. Owned; NULL with err. */
struct json_object *run_hook_read(int fd, struct error *err);

/* {"stage": NAME, "text": TEXT}: a stage of the run has begun. Without a run the process ends, as it is about to be killed. */
void run_hook_stage(int fd, const char *stage, const char *text);
/* {"error": NAME, "message": TEXT}: how it failed. */
void run_hook_error(int fd, const struct error *err);
