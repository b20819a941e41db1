/* SPDX-License-Identifier: MIT */
/* The connection to libvirt's embedded QEMU driver, and its event loop as the outer one of the process. */
#pragma once

#include "base/error.h"
#include "io/loop.h"

#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <sys/types.h>

/* Registers libvirt's event loop and puts ours inside it. Once per process, before any connection. */
int libvirt_init(struct loop *loop, struct error *err);

/* Runs both loops until *quit. */
int libvirt_run(const bool *quit, struct error *err);

/*
 * As root QEMU runs as another user.  When that user may not open /dev/kvm, libvirt 9 probes QEMU with more rights than it checks
 * the device with, takes its own result for outdated, and probes again two dozen times (90 s).  Then this daemon and its children
 * are given a view of /dev in which there is no usable KVM at all.  Before any thread is started.  Returns the reason why KVM is
 * ruled out, static; NULL when it is not.
 */
const char *libvirt_hide_unusable_kvm(const char *state);

/* Whom QEMU runs as. */
uid_t libvirt_qemu_uid(void);

/* Opens qemu:///embed with its root in this folder. NULL with a message that says what to do. */
virConnectPtr libvirt_connect(const char *root, struct error *err);
