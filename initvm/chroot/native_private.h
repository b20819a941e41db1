/* SPDX-License-Identifier: MIT */
/* What lays native helpers out and what calls them have in common. */
#pragma once

#include "chroot/native.h"

#include <sys/stat.h>

/* A line of the table: NAME, the path of the chroot's own program, its size, its time of modification, and whether the VM's is of
 * the very same version or only of the series. */
#define NATIVE_TABLE      "table"
#define NATIVE_TABLE_LINE "%s %s %lld %lld.%09ld"
#define NATIVE_TABLE_MAX  (16u << 10)
#define NATIVE_SAME       " same"
#define NATIVE_SERIES     " series"

#define NATIVE_LOADER "lib/ld.so"

/* A line of apt.conf(5): apt sets a PATH of its own for dpkg. */
#define NATIVE_APT_PATH "DPkg::Path \"" NATIVE_FOLDER "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\";\n"

/* The line of one program up to the time. Owned. */
char *native_table_line(const char *name, const char *path, const struct stat *st);
