/* SPDX-License-Identifier: MIT */
/* A long call ("more"): its progress is shown while it runs, and signals end it in an orderly way. */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "io/client.h"

/* How long a cancelled operation may take to clean up: a build's processes get some seconds to end, then its files are removed.
 */
#define CANCEL_DEADLINE_MS 60000u

struct operation {
        const char *method;
        struct json_object *parameters; /* taken */
        bool json;                      /* progress as JSON on standard output */
        const char *result;             /* the member of the last reply that is returned; NULL: "vm" */
        const char *cancelled;          /* what the user is told once the daemon has undone it; NULL: it cannot be undone */
};

/*
 * Runs to the end: 0 and *ret_vm (`result` of the last reply, owned; may be NULL when there was none), or -1.
 * When SIGINT, SIGTERM or SIGHUP ended it, the return is 128 + its number, and the user has been told.  What can be undone is
 * cancelled, and the daemon's confirmation waited for, until a second signal comes; what cannot goes on in the daemon.
 */
int operation_run(struct client *c, const struct operation *op, struct json_object **ret_vm, struct error *err);
