/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/error.h"
#include "ssh/connection.h"

/* Puts the agent's binary to UPLOADED_AGENT_PATH by SFTP: written beside it, made executable, renamed; so there is never half an
 * agent, and one that runs is not disturbed. Takes UPLOAD_FACTOR times the step's timeout at most. */
int upload_agent(struct connection *c, const struct request *request, struct error *err);
