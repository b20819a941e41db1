/* SPDX-License-Identifier: MIT */
/*
 * One of our standard outputs in the event loop: what is given to it is written as fast as the reader takes it, without ever
 * blocking the loop and without changing the flags of a file description that other processes share with us.
 */
#pragma once

#include "base/util.h"
#include "io/loop.h"

struct output {
        struct loop *loop;
        int fd;
        bool own_fd;   /* a file description of our own, non-blocking */
        bool pollable; /* else a regular file, which is always ready */
        struct buf pending;
        struct loop_source *source;
        void (*written)(void *userdata, size_t n);  /* n more bytes are out */
        void (*failed)(void *userdata, int errnum); /* once; what is pending is dropped, as is all that follows */
        void *userdata;
        bool broken;
};

/* The caller has set written, failed and userdata, or sets them before the first write. */
void output_init(struct output *o, struct loop *loop, int fd);
void output_done(struct output *o);
void output_write(struct output *o, const void *data, size_t n);

/* epoll(7) takes the fd: not a regular file. */
bool fd_is_pollable(int fd);
