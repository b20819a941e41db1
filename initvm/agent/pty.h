/* SPDX-License-Identifier: MIT */
/*
 * The pseudoterminal of a command (pty(7)).  Its slave stays open here as long as the master: so a command that closes its
 * terminal for a moment, as login(1) does, is no end, and the master reads EAGAIN, never EIO, when all was read.
 */
#pragma once

#include "agent/request.h"

#include <stdbool.h>
#include <sys/types.h>

/* What a command wrote before it ended is within the next so many bytes of the master, and what comes behind was written by
 * others: Linux keeps 8 KiB on the way (drivers/tty/pty.c) and 4 KiB in the line discipline (n_tty.c), with its overhead 20 KiB
 * when written byte by byte. */
#define PTY_LEFT_MAX (64u * 1024)

/* Opens a pair that belongs to the user (the group and the mode are those of the mount, devpts); both close-on-exec, the master
 * non-blocking. */
int pty_open(uid_t owner, struct terminal_size size, int *ret_master, int *ret_slave, struct error *err);

/* The foreground process group gets SIGWINCH when the size is another one. */
void pty_resize(int master, struct terminal_size size);

/* Types the end of file as a person would (VEOF, termios(3)); twice when the line has begun, since the first one only ends that.
 * False, and nothing is done, while input waits to be read. */
bool pty_type_eof(int master, int slave, bool line_begun);
