/* SPDX-License-Identifier: MIT */
/*
 * A user network with a forwarded port, for a VM whose SSH server is to be reached: passt(1), started by us.
 *
 * libvirt has no forwarded ports for QEMU's own user network, and Debian 12's libvirt refuses passt (its patch
 * Disable-passt-support).  So the domain has <interface type='client'>, which connects to a port of the loopback (libvirt's
 * domain format page, "TCP tunnel"); the connection is accepted here, once, and handed to passt, which speaks what QEMU's socket
 * network speaks (passt(1), --fd).  passt belongs to QEMU from then on: it ends when the connection does, and not with the
 * daemon.
 *
 * The guest gets the addresses that QEMU's user network gives.
 */
#pragma once

#include "base/error.h"
#include "daemon/record.h"

#include <stdint.h>
#include <sys/types.h>

/* Whether passt is there at all: else ERR_UNSUPPORTED. */
int passt_possible(struct error *err);

/* The port of 127.0.0.1 for a start: the one of the record, which must be free (ERR_STATE), or one that is. Between this and
 * passt_start() somebody else may take it: passt ends then. */
int passt_choose_port(const struct vm_record *record, uint16_t *ret, struct error *err);

/* Listens for QEMU on a port of 127.0.0.1 that is chosen. Returns the fd. */
int passt_listen(uint16_t *ret_port, struct error *err);

/*
 * Accepts QEMU's connection, which must have been made (QEMU makes it before it says that it is there), by a process of `uid`
 * (any other is ERR_DENIED), and starts passt on it, with port 22 of the guest behind ssh_port. Its messages go to the file
 * `log`, made anew. Any thread; the child is the caller's to reap.
 */
int passt_start(int listen_fd, uid_t uid, uint16_t ssh_port, const char *log, pid_t *ret_pid, struct error *err);

/* For tests: the uid of the socket in /proc/net/tcp (proc(5)) whose own end is this port of 127.0.0.1, and the other end that
 * one. */
int passt_read_uid(const char *table, uint16_t local_port, uint16_t remote_port, uid_t *ret);
