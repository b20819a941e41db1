/* SPDX-License-Identifier: MIT */
/* initvm-ssh as a child of the test, as it is one of the daemon: the call on fd 3, its states and its error, the bytes on fd 4.
 */
#pragma once

#include "agent_host.h"
#include "ssh_server.h"

#include "base/error.h"
#include "base/util.h"

#include <stdint.h>
#include <sys/types.h>

#define LINK_DEADLINE_MS 30000
#define LINK_ALIAS       "test-vm"

struct link {
        pid_t pid;
        int control;
        int bytes; /* -1 when a host has it */
        struct buf in;
        struct ssh_server *server;
        char *agent; /* the real one */
        /* Of the call; NULL and 0 of optional ones are not sent. */
        char *known_hosts, *identity, *agent_path;
        uint16_t port;
        uint64_t timeout, silence;
};

/* Starts a server; everything in the call is right, and the tests change what they are about. *state is the test's folder. */
struct link *link_new(void **state);
void link_set(char **field, char *owned);
char *link_write_known_hosts(void **state, const char *alias, const char *public_key); /* the path, owned */

/* Asks for an agent that is newer than ours, and does the shell command when it is to serve. */
void link_fake_agent(void **state, struct link *l, const char *command);

void link_start(struct link *l); /* both of: */
void link_spawn(struct link *l);
void link_call(struct link *l);

/* Waits for a state; others before it are passed over, an error fails the test. *ret_text, which may be NULL: its reason, or the
 * path of the agent; owned. */
void link_wait_state(struct link *l, const char *state, char **ret_text);
void link_wait_error(struct link *l, enum error_code code, struct error *err); /* the one that ends it */
int link_wait_exit(struct link *l);                                            /* its exit status */

struct host *link_host(struct link *l); /* takes the bytes over */
void assert_carries(struct host *h);    /* an exec round trip */
void assert_says(const char *text, const char *part);

/* Closes what is open, which must end it with status 0, and frees. */
void link_stop(struct link *l);
