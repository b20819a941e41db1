/* SPDX-License-Identifier: MIT */
/*
 * The byte channel to the host: the virtio-serial port, or any character device, unix socket or inherited fd, or the standard
 * input and output of a program that SSH runs.
 *
 * A virtio port whose other end is not connected on the host polls as EPOLLHUP for as long as that lasts, reads as 0 bytes and
 * does not take writes (drivers/char/virtio_console.c in Linux).  It is therefore watched edge-triggered only: the driver wakes
 * its waiters when the host connects, when bytes come and when it took some.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PORT_DEFAULT "/dev/virtio-ports/org.initvm.agent.0"

struct port {
        int fd;      /* non-blocking */
        int out;     /* where it is written: the same, but for standard input and output */
        bool device; /* nobody at the other end is a state that passes, not the end */
};
#define PORT_INIT                                                                                                                \
        {                                                                                                                        \
                .fd = -1, .out = -1                                                                                              \
        }

/* `spec` is the path of a character device or of a listening unix socket, or "fd:N". A port that another process has open:
 * ERR_STATE. */
int port_open(struct port *port, const char *spec, struct error *err);

/* Takes standard input and output for the channel, which must be pipes or sockets, and puts /dev/null in their places: nothing
 * else may read or write there. The end of the input is the end of the channel. */
int port_open_stdio(struct port *port, struct error *err);
void port_done(struct port *port);

/* Bytes moved; 0 when it is to be tried again after the next edge; -1 when the channel has ended for good. */
ssize_t port_read(struct port *port, void *data, size_t n);
ssize_t port_write(struct port *port, const void *data, size_t n);
