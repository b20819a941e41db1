/* SPDX-License-Identifier: MIT */
/* What a way of provisioning needs of this host, known before it begins. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct host_tool {
        const char *name; /* of the program, or its full path */
        const char *package;
        bool unprivileged_only; /* root does without */
};

/* ERR_NOT_FOUND with all that are missing and how to install them. */
int host_check_tools(const struct host_tool *tools, size_t n, bool privileged, struct error *err);

/* ERR_NO_SPACE when too little is free in the folder to make a VM there. */
int host_check_space(const char *folder, struct error *err);
