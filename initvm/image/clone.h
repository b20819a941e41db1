/* SPDX-License-Identifier: MIT */
/* Clone: a copy of an image in another folder, without its snapshots, which are the other machine, and with an identity of its
 * own. */
#pragma once

#include "image/request.h"
#include "io/run.h"

/* request->file is the new image, in a folder that nobody else uses; `result` gets {"ssh": the host's key is let in}. */
int image_clone(struct run *run, const struct image_request *request, struct json_object *result, struct error *err);
