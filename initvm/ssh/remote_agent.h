/* SPDX-License-Identifier: MIT */
/*
 * The agent on the other side: where it is, whether it will do, and how it gets there.
 *
 * The installed one is taken when it will do (wire/agent_version.h); else a copy of ours below the user's home, which is uploaded
 * by SFTP when it is missing or too old itself.  Nothing of the other system outside of that home is changed.
 */
#pragma once

#include "base/error.h"
#include "ssh/connection.h"

/* Relative to the user's home, where both SFTP and a command begin (sftp-server(8), sshd(8)). */
#define UPLOADED_AGENT_FOLDER ".local/lib/initvm"
#define UPLOADED_AGENT_PATH   UPLOADED_AGENT_FOLDER "/initvm-agent"

/* Called before an upload, which may take a while. */
typedef void (*uploading_fn)(void *userdata);

/* The path of an agent that will do: static, or borrowed from the request. NULL with an error; what failed on a connection that
 * is intact is final (not ERR_DISCONNECTED, not ERR_TIMEOUT). */
const char *remote_agent_find(struct connection *c, const struct request *request, uploading_fn uploading, void *userdata,
                              struct error *err);
