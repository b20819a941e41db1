/* SPDX-License-Identifier: MIT */
/*
 * Adopt: the disk of a new machine from an image that another tool has made.
 *
 * What is done to it, is done to an overlay, so that an image that cannot be adopted is refused before it is copied, and the
 * image itself is never written to.  Then the two become one file.
 */
#pragma once

#include "image/request.h"
#include "io/run.h"

/* request->image is the foreign image, request->file the new one, in a folder that nobody else uses; kernel, initrd and keys
 * are put beside it. `result` gets what wire/org.initvm.image.varlink says. */
int image_adopt(struct run *run, const struct image_request *request, struct json_object *result, struct error *err);
