/* SPDX-License-Identifier: MIT */
/*
 * What no process in a chroot may ask of the VM's kernel, although it may be root with most capabilities: what belongs to the
 * whole VM and to no namespace.  It is a short list of what is denied, because systemd-nspawn's own, of what is allowed, takes
 * longer to make under software emulation than all the rest of an entry (chroot/enter.c turns it off).
 */
#pragma once

#include "base/error.h"

/* From now on these calls fail with EPERM in this process and all that it starts (seccomp(2)), also in programs of another
 * architecture that this CPU executes itself, and in those that qemu-user emulates. Needs CAP_SYS_ADMIN; set-user-ID programs
 * stay what they are. */
int syscalls_deny(struct error *err);
