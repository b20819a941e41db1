/* SPDX-License-Identifier: MIT */
#include "base/boot_id.h"

#include "base/file.h"
#include "base/util.h"

#include <string.h>

#define BOOT_ID_MAX 64

char *boot_id(void)
{
        autofree char *text = file_read("/proc/sys/kernel/random/boot_id", BOOT_ID_MAX, NULL, NULL);

        return xstrndup(text ? text : "", text ? strcspn(text, "\n") : 0);
}
