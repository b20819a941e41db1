/* SPDX-License-Identifier: MIT */
/* What may be asked of a create, checked before anything happens. */
#pragma once

#include "daemon/create.h"
#include "daemon/record.h"

/* Fills the record from the options, the image's description and the host; what an adopted image decides is left out of it until
 * that was looked into: image and suite are then what is known without that, and a size of 0 stays. *ret_image_path (owned) is
 * the description's file, NULL when an image is adopted. */
int create_read_options(struct daemon *daemon, const struct create_options *options, struct vm_record *record,
                        char **ret_image_path, struct error *err);
