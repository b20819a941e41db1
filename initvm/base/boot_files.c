/* SPDX-License-Identifier: MIT */
#include "base/boot_files.h"

#include "base/util.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL "vmlinuz-"

static bool has_initrd(char *const *names, const char *release)
{
        autofree char *name = xasprintf("initrd.img-%s", release);

        return strv_contains(names, name);
}

char *boot_newest_of(char *const *names, bool with_initrd)
{
        const char *newest = NULL;

        for (char *const *n = names; n && *n; n++) {
                const char *release = *n + strlen(KERNEL);

                if (str_has_prefix(*n, KERNEL) && (!newest || strverscmp(release, newest) > 0) &&
                    (!with_initrd || has_initrd(names, release)))
                        newest = release;
        }
        return newest ? xstrdup(newest) : NULL;
}

char *boot_newest(const char *folder, bool with_initrd, struct error *err)
{
        autostrv char **names = NULL;
        DIR *d = opendir(folder);
        char *newest;

        for (struct dirent *e; d && (e = readdir(d));)
                strv_add(&names, e->d_name);
        if (d)
                closedir(d);
        newest = boot_newest_of(names, with_initrd);
        if (!newest)
                error_set(err, ERR_NOT_FOUND, "there is no kernel%s in '%s'", with_initrd ? " with an initrd" : "", folder);
        return newest;
}
