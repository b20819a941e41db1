/* SPDX-License-Identifier: MIT */
/*
 * Varlink messages (varlink.org/Method-Call): one JSON object each, ended by a NUL byte.  Bytes in, messages out, no fd.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/util.h"

#include <stdbool.h>

#define VARLINK_MESSAGE_MAX (1u << 20) /* larger messages end the connection; bulk data goes over an upgraded one */

struct varlink_call {
        const char *method;             /* borrowed from the message */
        struct json_object *parameters; /* borrowed, may be NULL */
        bool more;
        bool oneway;
        bool upgrade;
};

/* Takes the next whole message out of `in`: 1 with *ret owned by the caller, 0 when it needs more bytes, -1 when what is there
 * is not a message (ERR_PROTOCOL). */
int varlink_take(struct buf *in, struct json_object **ret, struct error *err);

/* Reads a call strictly: unknown members or wrong types are refused. */
int varlink_read_call(struct json_object *message, struct varlink_call *ret, struct error *err);

/* Reads a reply: 0 with *ret_parameters (borrowed, may be NULL) and *ret_continues; -1 when the reply is an error, with *err
 * filled from org.initvm.* errors (code and message), or a malformed reply (ERR_PROTOCOL). */
int varlink_read_reply(struct json_object *message, struct json_object **ret_parameters, bool *ret_continues, struct error *err);

/* Append a message with its NUL. `parameters` is owned (taken) and may be NULL. */
enum { VARLINK_MORE = 1, VARLINK_ONEWAY = 2, VARLINK_UPGRADE = 4 };
void varlink_write_call(struct buf *out, const char *method, struct json_object *parameters, unsigned flags);
void varlink_write_reply(struct buf *out, struct json_object *parameters, bool continues);
void varlink_write_error(struct buf *out, const struct error *error);

/* The same as owned JSON objects, for carriers that frame by themselves (MESSAGE frames). */
struct json_object *varlink_call_new(const char *method, struct json_object *parameters, unsigned flags);
struct json_object *varlink_reply_new(struct json_object *parameters, bool continues);
struct json_object *varlink_error_new(const struct error *error);
