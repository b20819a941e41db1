/* SPDX-License-Identifier: MIT */
/*
 * Forwards that are being served: listeners on the host whose connections go to the VM, and listeners in the VM whose connections
 * come to the host.  Every connection is a connection of its own to the daemon; one that fails is told on standard error, and
 * only it ends.
 */
#pragma once

#include "cli/forward_spec.h"
#include "cli/tunnel.h"
#include "io/loop.h"

#include <stdbool.h>

/* At once in one command: below the 256 streams of a VM, so that there is always room for an exec. Those that come on the host
 * meanwhile wait in the kernel's queue. */
#define FORWARD_CONNECTIONS_MAX 200

/* What one command serves; the agent listens on no more. */
#define FORWARD_SPECS_MAX 16

struct forward_connection;
struct forward_listener;
struct reverse_listener;

struct forward {
        struct loop *loop;
        const char *name; /* of the VM */
        bool json;
        struct forward_connection *connections;
        size_t n_connections;
        struct forward_listener *listeners;
        struct reverse_listener *reverses;
        struct error *err; /* why it ended, when that is a failure */
};

/* Begins to listen on the host, and says so. */
int forward_listen(struct forward *f, const struct forward_spec *spec, struct error *err);

/* Begins to listen in the VM, and says so; again when the daemon or the VM was restarted. */
int forward_reverse(struct forward *f, const struct forward_spec *spec, struct error *err);

/* Ends everything. */
void forward_done(struct forward *f);

/* ---- shared by forward.c and forward_reverse.c */

/* A connection to the daemon (owned), which is started when it is not there. */
int forward_connect_daemon(struct error *err);

/* Carries a connection; `label` is what an error begins with, copied. Takes parameters and socket_fd; on failure it has told it.
 */
void forward_carry(struct forward *f, const char *label, const char *method, struct json_object *parameters, int socket_fd);
bool forward_is_full(const struct forward *f);

/* "LABEL: why" on standard error. */
void forward_complain(const char *label, const struct error *err);

/* One line on standard output: both ends. */
void forward_announce(const struct forward *f, const struct address *from, bool from_vm, const struct address *to);

void forward_reverse_free(struct reverse_listener *all);
