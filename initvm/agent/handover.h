/* SPDX-License-Identifier: MIT */
/*
 * The agent is replaced by another program without an end: it writes down what it is (the port, the streams with their credits
 * and queues, the commands with their pipes) into a memfd, and executes the new program in its own place with --resume FD.  The
 * pid stays, so that systemd sees no change and the commands stay its children; the port and the pipes stay open, so that the
 * host sees none either, but for a new Hello.  A stream whose kind cannot be handed over is ended with an error that says so.
 *
 * The memfd holds one JSON object, a NUL, and the bytes of all queues, to which the object points.
 */
#pragma once

#include "agent/agent.h"
#include "base/json.h"

#define HANDOVER_FORMAT "1" /* what --check-resume names: the meaning of what is written down */

/* All queues of STREAMS_MAX commands and of the port are far below. */
#define HANDOVER_SIZE_MAX ((size_t)256 << 20)

/* Executes agent->new_program as soon as no command is in the middle of being started. When it cannot be executed everything goes
 * on as it is. */
void handover_soon(struct agent *agent);

/* For --resume: the port, the mux and the commands of the program before us. */
int handover_resume(struct agent *agent, struct port *port, int fd, const struct mux_handler *handler, struct error *err);

/* For what is written down: adds {offset, size} as `key` and appends the queue to `bytes`; and back. */
void handover_add_bytes(struct json_object *o, const char *key, const struct buf *queue, struct buf *bytes);
int handover_get_bytes(struct json_object *place, const struct buf *bytes, struct buf *ret_queue, struct error *err);

/* The same for a descriptor, which is passed on as it is; -1 is none. */
void handover_add_fd(struct json_object *o, const char *key, int fd);
int handover_get_fd(struct json_object *o, const char *key, int *ret_fd, struct error *err);
