/* SPDX-License-Identifier: MIT */
/* What an agent says of itself with --version, and whether it will do for this host: text in, a verdict out. */
#pragma once

#include <stdint.h>

/* The protocol on the port: both sides name a range, and what they have in common counts. */
#define AGENT_PROTOCOL_MIN 1
#define AGENT_PROTOCOL_MAX 1

struct agent_version {
        unsigned part[3]; /* 0.1.0 */
        unsigned protocol_min, protocol_max;
};

/* The line that `initvm-agent --version` prints for a version such as "0.1.0". Static per thread. */
const char *agent_version_line(const char *version);

/* Finds that line in a program's output (what a login shell printed before it is passed over). An agent that does not name its
 * protocol is of the time before there was more than one, and has 1. -1 when there is no such line. */
int agent_version_parse(const char *output, struct agent_version *ret);

/* The same of what Hello says. -1 when `text` is no version such as "0.1.0", or max is below min. */
int agent_version_read(const char *text, uint64_t protocol_min, uint64_t protocol_max, struct agent_version *ret);

enum agent_verdict {
        AGENT_USE,          /* it speaks a protocol that we speak, and is not older than `version`; a newer one is welcome */
        AGENT_USE_UPDATE,   /* it does, but is older: to be replaced when there is the time */
        AGENT_UPDATE_FIRST, /* it only speaks what we do not speak any more: to be replaced before anything else */
        AGENT_TOO_NEW,      /* it only speaks what we do not speak yet */
};
enum agent_verdict agent_version_judge(const struct agent_version *agent, const char *version);
