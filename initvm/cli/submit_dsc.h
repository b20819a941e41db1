/* SPDX-License-Identifier: MIT */
/* What belongs to a Debian source package: dsc(5). */
#pragma once

#include "base/error.h"

/* Adds the paths of the .dsc itself and of the files that it lists, which must be beside it. ERR_NOT_FOUND names the one that is
 * missing. Their checksums are left to dpkg-source(1) in the VM. */
int dsc_files(const char *path, char ***ret, struct error *err);
