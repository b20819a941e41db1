/* SPDX-License-Identifier: MIT */
/*
 * The first half of a create whose system is there already (initvm create --from): initvm-image looks into the image, puts what
 * makes it a machine of ours into a copy, and takes kernel and initrd out of it.
 */
#pragma once

#include "base/json.h"
#include "daemon/daemon.h"
#include "daemon/record.h"
#include "daemon/task_child.h"

struct adoption;

struct adoption_options {
        const char *from;               /* the image, an absolute path; it is never changed */
        const char *folder;             /* of the VM that is made */
        const struct vm_record *record; /* borrowed until the end; a size of 0: the usual one, if the image can have it */
};

/* NULL with err when it cannot begin. Else done comes once, later, with the result of org.initvm.image.Adopt or an error; the
 * adoption is over then. */
struct adoption *adoption_start(struct daemon *daemon, const struct adoption_options *options, task_child_progress_fn progress,
                                task_child_done_fn done, void *userdata, struct error *err);

/* done comes when nothing works any more, with ERR_CANCELLED or what came before that. */
void adoption_cancel(struct adoption *a);

/* What the result says of the new machine becomes a part of the record, and the key of its SSH server is pinned. */
int adoption_take(struct vm_record *record, const char *folder, struct json_object *result, struct error *err);
