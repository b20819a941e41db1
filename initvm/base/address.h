/* SPDX-License-Identifier: MIT */
/*
 * Where to connect or to listen: a TCP port of this machine or of another one, or a unix socket.  Names are not looked up: the
 * agent is static and has no resolver; 'localhost' is known, as 127.0.0.1 and, where nobody is there, ::1.
 */
#pragma once

#include "base/error.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ADDRESS_SOCKADDRS_MAX 2

struct address {
        char host[INET6_ADDRSTRLEN]; /* TCP: "192.0.2.1", "2001:db8::1" or "localhost"; "" for a unix socket */
        uint16_t port;               /* TCP; 0: any free one, for who listens */
        char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* absolute; "" for TCP */
};

/* "192.0.2.1:80", "[2001:db8::1]:80", "localhost:80" or "/run/x.sock". ERR_INVALID says what is wrong with it. */
int address_parse(const char *text, struct address *ret, struct error *err);

/* The same form again. Owned. */
char *address_text(const struct address *a);

bool address_is_unix(const struct address *a);
bool address_is_loopback(const struct address *a); /* reached from the machine itself only: also every unix socket */

/* For bind(2) and connect(2), in the order to try: returns how many. */
struct address_socket {
        struct sockaddr_storage storage;
        socklen_t size;
};
size_t address_sockets(const struct address *a, struct address_socket ret[ADDRESS_SOCKADDRS_MAX]);

/* What getsockname(2) told of a TCP socket. */
void address_from_socket(struct address *ret, const struct sockaddr_storage *storage);
