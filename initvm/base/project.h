/* SPDX-License-Identifier: MIT */
/*
 * Limits on what a folder and everything that is made in it takes on the disk: project quotas, which ext4 has when it was made
 * with the features 'quota' and 'project' (ext4(5), quotactl(2), ioctl FS_IOC_FSSETXATTR).  Who has CAP_SYS_RESOURCE is not held
 * by them.
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

/* Makes an empty folder belong to a project, with everything that is made in it from now on. ERR_UNSUPPORTED where the filesystem
 * has no projects. */
int project_assign(const char *folder, uint32_t project, struct error *err);

/* Which one a folder belongs to; 0: none. */
uint32_t project_of(const char *folder);

/* The bytes that all of the project take on the filesystem of `folder`; 0 where nobody counts. */
uint64_t project_usage(const char *folder, uint32_t project);

/* How many bytes all of the project may take on the filesystem of `folder`, from now on; 0: as many as there are. */
int project_limit(const char *folder, uint32_t project, uint64_t bytes, struct error *err);
