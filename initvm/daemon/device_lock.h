/* SPDX-License-Identifier: MIT */
/*
 * libvirt guards each console and port that a stream has open by a lock file that holds the process's number, for all users
 * of the host in one folder (libvirt's virchrdev.c).  A process that is killed leaves its files behind; libvirt believes
 * them as long as that number is alive, be it that nobody has reaped the process yet or that another one has got the number.
 * And the next QEMU may well get the same pty.
 *
 * The devices of our domains are opened by nobody but us, and a free pty by nobody at all: a lock that is there before we open
 * is a stale one.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stddef.h>

/* Removes the locks of the domain's consoles and ports. To be called before its streams are opened. */
void device_locks_remove(virDomainPtr domain);

/* Locks that belong to other users cannot be removed: their ptys are kept from QEMU while it starts. */
#define DEVICE_LOCKS_KEPT_MAX 32
struct kept_ptys {
        int fds[DEVICE_LOCKS_KEPT_MAX];
        size_t n;
};
void kept_ptys_take(struct kept_ptys *kept);
void kept_ptys_release(struct kept_ptys *kept);
