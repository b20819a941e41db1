/* SPDX-License-Identifier: MIT */
/*
 * The SSH keys of a new machine, made beside its image: the pair by which the host is let in, in the folder ssh/ as 'initvm ssh'
 * has it, and the machine's host key, of which the host keeps the public half only.
 */
#pragma once

#include "base/error.h"
#include "io/run.h"

/* Where sshd(8) has it. */
#define SSH_HOST_KEY "/etc/ssh/ssh_host_ed25519_key"

/* Paths, whether the files are there or not. All owned. */
struct image_keys {
        char *folder;   /* ssh/ */
        char *user_key; /* and the public half */
        char *user_public_key;
        char *host_key; /* beside the image */
        char *host_public_key;
};
void image_keys_init(struct image_keys *keys, const char *image);
void image_keys_done(struct image_keys *keys);

/* Makes them, with ssh-keygen(1). */
int image_keys_make(struct run *run, const struct image_keys *keys, const char *comment, struct error *err);

/* Once the machine has its own: the private half goes. */
void image_keys_forget_host_key(const struct image_keys *keys);
