/* SPDX-License-Identifier: MIT */
/* For tests of connections through the agent: peers in this process, and the host's side of their streams. */
#pragma once

#include "agent_host.h"

struct peer {
        char folder[32]; /* of a unix socket; "" for TCP */
        char address[64];
        int listener;
};

void peer_listen(struct peer *p, int family);
void peer_done(struct peer *p);

/* Streams of Connect or Listen, and of Accept. */
struct run *open_method(struct host *h, const char *method, const char *address);
struct run *open_accept(struct host *h, uint64_t connection);

/* The agent's connection to the peer: both ends. */
struct run *connect_peer(struct host *h, struct peer *p, int *ret_fd);

/* From a test to where the agent listens. */
int dial(const char *text);

void send_data(struct host *h, struct run *r, const char *text);
void send_eof(struct host *h, struct run *r);

/* What the peer gets next: n bytes, 0 at the end, -1 with errno. The host's loop goes on meanwhile. */
ssize_t peer_read(struct host *h, int fd, void *data, size_t n);

/* Waits for the stream's end, which must be one in order. */
void assert_ended_well(struct host *h, struct run *r);
