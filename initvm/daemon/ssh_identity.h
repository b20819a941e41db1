/* SPDX-License-Identifier: MIT */
/*
 * What an SSH client needs for a VM without asking anybody: a key of the VM's own, which its sshd lets in, and the keys of that
 * sshd, fetched through the agent and pinned.  All of it is in the folder ssh/ of the VM's folder, 0700, and goes with the VM.
 *
 * Pinned means pinned: once there, the file of host keys is replaced only when that is asked for.  ssh(1) then refuses any other
 * key (ssh_config(5), StrictHostKeyChecking).
 */
#pragma once

#include "daemon/daemon.h"
#include "daemon/vm.h"

/* Whom the key is for; sshd lets it in for every user of the VM (/etc/ssh/initvm_authorized_keys). */
#define SSH_IDENTITY_USER "root"

/* Where the parts are, whether they are there yet or not. All owned. */
struct ssh_identity {
        char *folder;
        char *key;         /* private key, ed25519, without passphrase, 0600 */
        char *public_key;  /* its public half, one line as in sshd(8), AUTHORIZED_KEYS FILE FORMAT */
        char *known_hosts; /* the pinned host keys, under `alias`, as in sshd(8), SSH_KNOWN_HOSTS FILE FORMAT */
        char *config;      /* for the ssh_config(5) that a client writes */
        char *alias;       /* "initvm-NAME": the host's name in known_hosts */
};
void ssh_identity_init(struct ssh_identity *identity, const char *vm_folder, const char *vm_name);
void ssh_identity_done(struct ssh_identity *identity);

/*
 * Makes the key pair unless it is there, with ssh-keygen(1). fn is called once, later: err is NULL when the pair is there.
 * Any number may be asked for at once. `vm_folder` is that of a VM, or of one being created.
 */
typedef void (*ssh_key_fn)(void *userdata, const struct error *err);
struct ssh_key_making;
struct ssh_key_making *ssh_identity_make_key(struct loop *loop, const char *vm_folder, const char *vm_name, ssh_key_fn fn,
                                             void *userdata);
void ssh_identity_make_key_cancel(struct ssh_key_making *making); /* fn is not called any more; NULL is fine */

/*
 * Everything, on a VM that runs: makes the key pair, puts the public key into the guest, fetches the host keys, and pins them
 * unless some are pinned (or always, with `renew`). Waits for the agent for READY_TIMEOUT_MS at most. fn is called once, later,
 * with either an identity (borrowed) or err. `differs`: a pinned host key is not one that the guest has now. ERR_NOT_FOUND when
 * the guest has no sshd or no host key.
 */
typedef void (*ssh_prepared_fn)(void *userdata, const struct ssh_identity *identity, bool differs, const struct error *err);
struct ssh_preparation;
struct ssh_preparation *ssh_identity_prepare(struct daemon *daemon, struct vm *vm, bool renew, ssh_prepared_fn fn,
                                             void *userdata);
void ssh_identity_prepare_cancel(struct ssh_preparation *preparation); /* fn is not called any more; NULL is fine */

/* Of a machine that initvm-image has given a host key: pins the public half of it, which is beside the image as host-key.pub and
 * goes with that. */
int ssh_identity_pin(const char *vm_folder, const char *vm_name, struct error *err);

/* For tests: reads what the guest's script printed. *ret is owned, one line for known_hosts each; ERR_NOT_FOUND and a sentence
 * when something is missing there, ERR_PROTOCOL when it is not what the script prints. */
int ssh_identity_read_guest(const char *text, const char *vm_name, char **ret, struct error *err);
