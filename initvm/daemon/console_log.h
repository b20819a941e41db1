/* SPDX-License-Identifier: MIT */
/* The recorded console: QEMU appends to console.log whether or not a daemon is there; the daemon keeps it below a cap. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CONSOLE_LOG_MAX (4u << 20) /* console.log; console.log.1 holds at most as much again */

/* The end of the file, at most n bytes into ret; returns how many. */
size_t console_log_tail(const char *path, uint8_t *ret, size_t n);

/* Rotates when the file is larger than its cap: its content goes to <path>.1, and leaves <path> without a moment in which a byte
 * that QEMU appends could be lost. */
void console_log_rotate(const char *path);
