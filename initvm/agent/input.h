/* SPDX-License-Identifier: MIT */
/*
 * What the host sends to a command: the writing end of a pipe, or of a terminal.  What the command does not read is kept, a
 * window at most, for the host is given credit only for what was passed on or dropped.
 */
#pragma once

#include "agent/mux.h"

struct input {
        struct loop *loop;
        struct stream *stream;
        int fd; /* -1: what comes is dropped */
        struct loop_source *source;
        struct buf queue;
        bool ended;      /* nothing more comes */
        bool line_begun; /* the last byte that was passed on ended no line */
        int slave;       /* of a terminal, else -1 */
        struct loop_source *eof_timer;
};
#define INPUT_INIT                                                                                                               \
        {                                                                                                                        \
                .fd = -1, .slave = -1                                                                                            \
        }

/* Takes fd, which is non-blocking; a terminal's slave stays the caller's and open until input_close(). The stream must be there
 * as long. */
void input_open(struct input *in, struct loop *loop, struct stream *stream, int fd, int slave);
void input_close(struct input *in);

void input_data(struct input *in, const uint8_t *data, size_t n);

/* Closes a pipe when all was passed on. The end of a file is typed into a terminal (pty_type_eof()), where it is read once, while
 * that of a pipe lasts: so it is typed again whenever it was read, as long as the terminal is there. */
void input_end(struct input *in);
