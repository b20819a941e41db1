/* SPDX-License-Identifier: MIT */
/* The child's side of a connection to the daemon: one Varlink call is read, progress and one answer are written, blocking. */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/util.h"

#define CONTROL_FD 3

/* Reads the one call that comes on the fd (owned). ERR_DISCONNECTED when none does. */
int control_read_call(int fd, struct json_object **ret, struct error *err);

/* Write a reply with "continues" (`owned_parameters` is taken), and an error. -1 when nobody reads any more. */
int control_progress(int fd, struct json_object *owned_parameters);
int control_fail(int fd, const struct error *error);
