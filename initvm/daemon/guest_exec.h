/* SPDX-License-Identifier: MIT */
/* A command that the daemon itself runs in the guest: output goes to a file, the result to a callback. */
#pragma once

#include "daemon/channel.h"

struct guest_exec;

/* err is NULL when the command ended with status 0; otherwise it says how it ended, with the last lines of its output. */
typedef void (*guest_exec_fn)(void *userdata, const struct error *err);

/* Runs argv as root. Both outputs are appended to log_fd (borrowed until the end). NULL with err when it cannot begin. */
struct guest_exec *guest_exec_start(struct loop *loop, struct channel *channel, char *const *argv, int log_fd,
                                    uint64_t timeout_ms, guest_exec_fn done, void *userdata, struct error *err);

/* A file for what a command prints, when that is to be read: zeros in memory, which cannot grow, so that the output ends at the
 * first zero (memfd_create(2), F_SEAL_GROW). -1 with err. */
#define GUEST_OUTPUT_MAX (64 * 1024)
int guest_exec_memory(struct error *err);

/* Ends it without a callback. NULL is fine. */
void guest_exec_cancel(struct guest_exec *g);
