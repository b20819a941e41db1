/* SPDX-License-Identifier: MIT */
/* What the daemon asks for: org.initvm.ssh.Connect (wire/org.initvm.ssh.varlink). */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdint.h>

/* Each step of a connection (TCP, key exchange, authentication, a look at the agent) may take this long when the call does not
 * say otherwise; emulated guests need several seconds for a key exchange. An upload may take UPLOAD_FACTOR times as long. */
#define STEP_TIMEOUT_MS 30000
#define UPLOAD_FACTOR   4

/* A connection on which nothing was heard for so long is given up; a live server answers keepalives. */
#define SILENCE_MS 60000

/* Either may be asked for in this range. */
#define TIME_MIN_MS 100
#define TIME_MAX_MS (3600ull * 1000)

struct request {
        const char *host, *user, *known_hosts, *agent_path, *agent_binary;
        const char *host_key_alias; /* the name that the host's key has in known_hosts */
        const char *identity_file;  /* NULL: the keys of the ssh-agent in SSH_AUTH_SOCK */
        uint64_t port;
        uint64_t timeout_ms, silence_ms;
};

/* Reads the call strictly; the strings are borrowed from the message. */
int request_read(struct json_object *message, struct request *ret, struct error *err);
