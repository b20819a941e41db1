/* SPDX-License-Identifier: MIT */
/* Reaching the daemon, and starting it when it is not there. */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/paths.h"
#include "io/client.h"

/* Calls that the daemon answers from what it knows. The first one may have to wait until libvirt's driver has probed QEMU. */
#define CALL_DEADLINE_MS 60000u

/* Calls that the agent answers: of a VM that is just being started they wait until it has booted, which the daemon allows five
 * minutes under emulation (daemon/vm.h), and then the agent has its own deadline. The daemon is the one to say what was too slow.
 */
#define AGENT_CALL_DEADLINE_MS (8u * 60 * 1000)

/* Until a daemon that we started listens: it reads its state and removes what an interrupted create left. */
#define DAEMON_START_DEADLINE_MS 60000u

/* Connects to the running daemon, and starts one when there is none. Warns when it is of another version than we are. The socket
 * of a daemon that was killed still takes connections for a moment: only one that has answered a call is taken, and the end of
 * another is awaited. */
int daemon_connect(struct client **ret, struct error *err);

/* Connects only to a daemon that runs: ERR_NOT_FOUND when none does. */
int daemon_connect_running(struct client **ret, struct error *err);

/* Connects, calls, returns the parameters of the reply (owned). `parameters` is taken. */
int daemon_call(const char *method, struct json_object *parameters, struct json_object **ret, struct error *err);

/* After a connection was lost: until the daemon's process (a pidfd; -1: not known) has ended. Bounded: one that does not end is
 * tried again all the same. */
void daemon_await_end(int process);

/* The path of the daemon's log, owned; NULL on failure. */
char *daemon_log(struct error *err);
