/* SPDX-License-Identifier: MIT */
/*
 * Our part in mmdebstrap's run: it starts this program again as `initvm-provision hook essential|customize ROOT`, as root or
 * as root of its user namespace.  There nothing of the user's files need be readable, so all that a hook needs comes through
 * inherited fds with fixed numbers.
 */
#pragma once

#include "base/error.h"
#include "provision/disk.h"
#include "provision/image.h"
#include "provision/plan.h"
#include "provision/preseed.h"

enum hook_fd {
        HOOK_FD_INPUT = 10, /* struct hook_input as JSON */
        HOOK_FD_REPORT,     /* JSON lines to the run: {"stage","text"}, {"error","message"} */
        HOOK_FD_PROGRAM,    /* this program */
        HOOK_FD_AGENT,
        HOOK_FD_DISK,
        HOOK_FD_KERNEL,
        HOOK_FD_INITRD,
};

struct hook_input {
        struct image *image;
        struct preseed *preseed;
        struct plan *plan;
        char *keys; /* folder: <source's name> and "archive" */
        struct disk_layout layout;
};

/* The input as a memory file's fd; texts are what the plan was made from, so that the hook makes the same again. */
int hook_input_save(const char *image_path, const char *preseed_path, const char *preseed_text,
                    const struct plan_overrides *overrides, const char *keys, const struct disk_layout *layout,
                    struct error *err);

/* The program's main when it is started as a hook: the exit status. */
int hook_main(int argc, char **argv);
