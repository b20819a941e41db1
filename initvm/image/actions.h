/* SPDX-License-Identifier: MIT */
/*
 * What can be done with an image: a table of actions, each a short line of steps.  Holds for all of them: whatever interrupts
 * them, and kill -9 as well, the image is the old one or the new one.  Either a new file is made and renamed over it, or the
 * change is one that qcow2 (snapshots, a larger size: the header comes last) or the guest's own file system (its journal) makes
 * safe.
 */
#pragma once

#include "image/request.h"
#include "io/run.h"

/* Does what `action` says, and fills `result`. `parameters` is what the request was read from. */
int image_act(struct run *run, const char *action, const struct image_request *request, struct json_object *parameters,
              struct json_object *result, struct error *err);
