/* SPDX-License-Identifier: MIT */
/*
 * The disk of a running VM becomes larger, and what is on it follows: libvirt tells QEMU, and QEMU the guest; there a script
 * grows the root partition and its file system (grow_guest.sh).  Interrupted anywhere, the same call completes it.
 */
#pragma once

#include "base/json.h"
#include "daemon/daemon.h"

struct vm;

/* Once. result: {"virtual": bytes, "filesystem": bytes}, borrowed. */
typedef void (*disk_grow_done_fn)(void *userdata, struct json_object *result, const struct error *err);

/* size: bytes, at least what the disk has. -1 with err when it cannot begin; else done is called later. It cannot be cancelled:
 * it takes seconds. */
int disk_grow(struct vm *vm, struct daemon *daemon, uint64_t size, disk_grow_done_fn done, void *userdata, struct error *err);
