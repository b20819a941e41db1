/* SPDX-License-Identifier: MIT */
/* The strict check of the server's host key: it is pinned, or there is no connection. Nothing is asked, nothing is learnt. */
#pragma once

#include "base/error.h"
#include "ssh/request.h"

#include <libssh/libssh.h>

/* After ssh_connect(). One of the keys that known_hosts has under the alias must be the server's (sshd(8), SSH_KNOWN_HOSTS FILE
 * FORMAT): else ERR_DENIED, with the fingerprints of both. */
int host_key_check(ssh_session session, const struct request *request, struct error *err);
