/* SPDX-License-Identifier: MIT */
/*
 * A bound for blocking calls of libssh, some of which wait for ever (its SFTP does): when the time is over the socket is shut
 * down, which every one of them takes for the end of the connection.  By SIGALRM and shutdown(2), which may be called from a
 * signal handler (signal-safety(7)); one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

void deadline_begin(int fd, uint64_t after_ms);
bool deadline_end(void); /* must come before the fd is closed; true when the time was over and the socket was shut down */
