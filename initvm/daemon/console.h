/* SPDX-License-Identifier: MIT */
/*
 * A VM's serial console: one libvirt stream, any number of viewers, one of them with the keyboard.  The last CONSOLE_REPLAY_SIZE
 * bytes are replayed to a new viewer.  A viewer that does not read is skipped over, and told so; it never slows the others.
 */
#pragma once

#include "daemon/virt_stream.h"
#include "io/conn.h"

#include <stdbool.h>

#define CONSOLE_REPLAY_SIZE (64u * 1024)

struct console;

/* Takes the stream over. `log` is the file that QEMU appends to: the replay begins with its end, and it is kept below its cap. */
struct console *console_new(struct loop *loop, virStreamPtr stream, const char *log);
void console_free(struct console *c); /* viewers are told that the VM has stopped; NULL is fine */

bool console_has_writer(const struct console *c);

/* A new viewer with an upgraded connection (owned). When `writer`, it takes the keyboard from whoever has it. */
void console_attach(struct console *c, struct conn *conn, bool writer);

/* Everything that is shown from now on also goes to fn, which must not free the console. */
typedef void (*console_watch_fn)(void *userdata, const void *data, size_t n);
void console_watch(struct console *c, console_watch_fn fn, void *userdata);

/* The last n lines of what the console showed, owned, for messages. */
char *console_last_lines(const struct console *c, unsigned n);
