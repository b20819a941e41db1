/* SPDX-License-Identifier: MIT */
/* One SSH connection from TCP to authentication. Every step is bounded. */
#pragma once

#include "base/error.h"
#include "base/util.h"
#include "ssh/request.h"

#include <libssh/libssh.h>
#include <stdbool.h>

struct connection {
        ssh_session session;
        int fd; /* under the session */
};

/* NULL with an error. ERR_DENIED is final: the host key is wrong, or the server takes none of our keys; ERR_NOT_FOUND and
 * ERR_INVALID as well (our own files). Everything else may pass. What the server's greeting may take is said apart: patience_ms.
 */
struct connection *connection_new(const struct request *request, uint64_t patience_ms, struct error *err);
void connection_free(struct connection *c); /* NULL is fine */
bool connection_alive(const struct connection *c);

/* Fills *err with what libssh said, or with ERR_TIMEOUT when that was the deadline's doing. */
int connection_error(const struct connection *c, bool timed_out, struct error *err, const char *what);

/* Opens a channel and runs a command on the other side. NULL on failure. The caller bounds it. */
ssh_channel connection_exec(struct connection *c, const char *command, struct error *err);

/* Runs a command to its end, under the step's timeout: what it wrote to its standard output (at most `max` bytes are kept), and
 * its exit status, -1 when a signal ended it. */
int connection_run(struct connection *c, const struct request *request, const char *command, size_t max, char **ret_output,
                   int *ret_status, struct error *err);
