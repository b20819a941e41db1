/* SPDX-License-Identifier: MIT */
#include "image/fstab.h"

#include "base/util.h"

#include <mntent.h>
#include <stdio.h>
#include <string.h>

/* The longest line that is read whole; getmntent(3) drops the rest of a longer one. */
#define LINE_SIZE 4096

/* fstab(5), "The first field": the rest are names of what is in memory or on other machines. */
static bool is_on_disk(const char *source)
{
        static const char *const begins[] = {"/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID="};

        for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
                if (str_has_prefix(source, begins[i]))
                        return true;
        return false;
}

bool fstab_has_more(const char *text)
{
        autofclose FILE *f = *text ? fmemopen((char *)text, strlen(text), "r") : NULL;
        char line[LINE_SIZE];
        struct mntent m;

        while (f && getmntent_r(f, &m, line, sizeof(line)))
                if (is_on_disk(m.mnt_fsname) && m.mnt_dir[0] == '/' && !streq(m.mnt_dir, "/") && !streq(m.mnt_type, "swap") &&
                    !hasmntopt(&m, "noauto"))
                        return true;
        return false;
}
