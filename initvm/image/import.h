/* SPDX-License-Identifier: MIT */
/*
 * Import: an image that was exported from a VM, or a changed copy of it, becomes the VM's disk again.  Its kernel and initrd
 * belong to it, and are outside of it; that both change at one moment, or neither, is done so (daemon/import.h is the other
 * half):
 *
 *   import/kernel, initrd    what the new image is booted with, whole
 *   import/ready             all is made; from here on the rename of the image alone decides
 */
#pragma once

#include "image/request.h"
#include "io/run.h"

/* request->file is what is imported; import/ is made beside request->image. `result` gets what is told of file systems. */
int image_import(struct run *run, const struct image_request *request, struct json_object *result, struct error *err);
