/* SPDX-License-Identifier: MIT */
/*
 * The process that links libguestfs, and in it the appliance: a small Linux in a QEMU of its own that looks into the image.  It
 * is this program again, as a tool of the run (io/run.h), so that whatever libguestfs does, it can be ended at any time with
 * everything that it has started.
 */
#pragma once

#include "image/request.h"
#include "io/run.h"

enum appliance_fd {
        APPLIANCE_FD_LOCK = 4, /* of the VM's disk, held by this process as well; the appliance's QEMU has a lock of its own */
        APPLIANCE_FD_REQUEST = 10, /* {"operation": NAME, "request": {...}} */
        APPLIANCE_FD_REPORT,       /* JSON lines to the run: {"stage","text"}, {"error","message"} */
        APPLIANCE_FD_RESULT,       /* the result as JSON */
};

/* Runs one operation of guest_main()'s table in it. `parameters` is what image_request_read() takes. *ret is owned. */
int appliance_run(struct run *run, const char *operation, struct json_object *parameters, struct json_object **ret,
                  struct error *err);

/* The program's main when it is that process: the exit status. */
int appliance_main(void);
