/* SPDX-License-Identifier: MIT */
/* What methods.c (quick ones) and methods_operations.c (long ones, with progress) share. */
#pragma once

#include "base/json.h"
#include "io/server.h"

/* json_read() that takes absent parameters for an empty object, and says "parameters" in its errors. */
int methods_read(struct json_object *parameters, const struct json_field *fields, size_t n, struct error *err);

/* Answers the call (userdata) with {"vm": first of the array}. */
void methods_reply_vm(void *call, struct json_object *owned_array);

/* Our resident memory in bytes, from /proc/self/statm. */
uint64_t methods_resident_bytes(void);

int methods_create(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_start(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
int methods_stop(struct call *call, struct json_object *parameters, void *userdata, struct error *err);
