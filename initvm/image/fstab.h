/* SPDX-License-Identifier: MIT */
/* What an fstab(5) says, as a pure function. */
#pragma once

#include <stdbool.h>

/* Whether it mounts more from the disk than the root file system, when the system starts. */
bool fstab_has_more(const char *text);
