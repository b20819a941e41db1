/* SPDX-License-Identifier: MIT */
/*
 * The second half of an import (image/import.h): initvm-image has put the new image in the place of the old one, and left the
 * kernel and the initrd that belong to it in import/.
 */
#pragma once

#include "daemon/record.h"

/*
 * To be called before anything else is done with the disk, by who has its lock: makes the record follow an import that was
 * committed, whoever was killed meanwhile, and forgets one that was not.  Interrupted, it is done again.  Without an import it
 * does nothing.
 */
int import_complete(struct vm_record *record, const char *vm_folder, struct error *err);
