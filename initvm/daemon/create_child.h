/* SPDX-License-Identifier: MIT */
/* The provisioning child: initvm-provision with one Varlink call on fd 3.  It can be killed and takes nothing of the daemon with
 * it. */
#pragma once

#include "base/json.h"
#include "io/loop.h"

struct create_child;

struct create_child_options {
        const char *folder, *name, *image, *preseed;
        const char *mirror; /* may be NULL */
        uint64_t size;
};

typedef void (*create_child_progress_fn)(void *userdata, struct json_object *owned_progress);
/* Once: the result (borrowed) or an error. A child that dies without an answer is an error that quotes its log. */
typedef void (*create_child_done_fn)(void *userdata, struct json_object *result, const struct error *err);

struct create_child *create_child_start(struct loop *loop, const struct create_child_options *options,
                                        create_child_progress_fn progress, create_child_done_fn done, void *userdata,
                                        struct error *err);

/* Kills what is left of it, with everything that it started. NULL is fine. */
void create_child_free(struct create_child *child);

/* The environment variable by which processes that belong to a create are known: its value is the folder. */
#define CREATE_FOLDER_VARIABLE "INITVM_CREATING"
