/* SPDX-License-Identifier: MIT */
/* The provisioning child of a create: initvm-provision and what it is asked for. */
#pragma once

#include "daemon/task_child.h"

struct create_child_options {
        const char *folder, *name, *image, *preseed;
        const char *mirror, *proxy; /* may be NULL */
        bool install;               /* by debian-installer: it makes what that is booted with */
        uint64_t size;
};

struct task_child *create_child_start(struct loop *loop, const struct create_child_options *options,
                                      task_child_progress_fn progress, task_child_done_fn done, void *userdata,
                                      struct error *err);
