/* SPDX-License-Identifier: MIT */
/*
 * An sshd of the test's own (openssh-server) on a free port of 127.0.0.1, with its own host key, one key that may log in, and a
 * home in the test's folder: nothing of the machine's or the user's configuration is read or changed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ssh_server {
        char *folder;
        char *home;     /* where commands and SFTP begin */
        char *key;      /* private key of the user that may log in */
        char *host_key; /* public key of the server: "ssh-ed25519 AAAA…" */
        char *user;     /* who runs the test */
        uint16_t port;
        pid_t pid; /* 0 when it does not run */
};

/* Makes the keys and starts it. */
struct ssh_server *ssh_server_new(const char *folder);
void ssh_server_free(struct ssh_server *s);

void ssh_server_start(struct ssh_server *s); /* on the port that it had; returns when it listens */
void ssh_server_kill(struct ssh_server *s);  /* at once, with all its connections */

/* Sends a signal to the processes of all connections, and not to what they run. */
void ssh_server_signal_connections(struct ssh_server *s, int signo);

/* Another key pair: the path of the private one, owned. */
char *ssh_make_key(const char *folder, const char *name);
char *ssh_public_key(const char *private_path); /* "ssh-ed25519 AAAA…", owned */

/* Runs a program to its end, which must be exit status 0. */
void run_program(const char *program, ...) __attribute__((sentinel));
