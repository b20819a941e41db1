/* SPDX-License-Identifier: MIT */
#include "base/boot_files.h"

#include "base/util.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL "vmlinuz-"

static bool has_initrd(const char *folder, const char *release)
{
        autofree char *path = xasprintf("%s/initrd.img-%s", folder, release);

        return access(path, F_OK) == 0;
}

char *boot_newest(const char *folder, bool with_initrd, struct error *err)
{
        DIR *d = opendir(folder);
        char *newest = NULL;

        for (struct dirent *e; d && (e = readdir(d));) {
                const char *release = e->d_name + strlen(KERNEL);

                if (!str_has_prefix(e->d_name, KERNEL) || (newest && strverscmp(release, newest) <= 0) ||
                    (with_initrd && !has_initrd(folder, release)))
                        continue;
                free(newest);
                newest = xstrdup(release);
        }
        if (d)
                closedir(d);
        if (!newest)
                error_set(err, ERR_NOT_FOUND, "there is no kernel%s in '%s'", with_initrd ? " with an initrd" : "", folder);
        return newest;
}
