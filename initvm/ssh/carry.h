/* SPDX-License-Identifier: MIT */
/*
 * Bytes between an SSH channel and a socket, both ways, unread.  What is held is bounded: by one block in our hands each way, by
 * the socket's buffers, by the windows of the channel (libssh's to us, the server's to it).  Nothing is read from one side while
 * the other does not take.
 */
#pragma once

#include "base/error.h"
#include "ssh/connection.h"

/* Until one of them ends, and returns why: ERR_CANCELLED when `fd` or `control` was closed; ERR_DISCONNECTED when the other
 * side's program or the connection ended; ERR_TIMEOUT when nothing was heard for the request's silence although keepalives were
 * sent. */
int carry(struct connection *c, const struct request *request, ssh_channel channel, int fd, int control, struct error *err);
