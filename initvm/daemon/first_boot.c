/* SPDX-License-Identifier: MIT */
#include "daemon/first_boot.h"

#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel takes 2048 bytes (COMMAND_LINE_SIZE). */
#define COMMAND_LINE_MAX 4096

char *first_boot_command_line(const char *proc_cmdline)
{
        static const char *const left_out[] = {"BOOT_IMAGE=", "initrd=", "console=", "panic=", "oops="};
        autostrv char **words = strv_split(proc_cmdline, " \n"), **kept = NULL;

        for (char **w = words; *w; w++) {
                bool out = false;

                for (size_t i = 0; i < ARRAY_SIZE(left_out); i++)
                        out |= str_has_prefix(*w, left_out[i]);
                if (!out)
                        strv_add(&kept, *w);
        }
        return strv_join(kept, " ");
}

char *first_boot_read_command_line(int fd, struct error *err)
{
        char text[COMMAND_LINE_MAX] = "";
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        if (n > 0)
                return first_boot_command_line(text);
        if (n < 0)
                error_errno(err, errno, "cannot read the new system's command line");
        else
                error_set(err, ERR_FAILED, "the new system's command line is empty");
        return NULL;
}

int first_boot_take_files(const struct vm_record *fetched, bool needed, struct vm_record *r, const char *folder,
                          struct error *err)
{
        static const char *const files[] = {"kernel", "initrd"};
        autofree char *from = fetched->boot_folder ? xasprintf("%s/%s", folder, fetched->boot_folder) : NULL;
        autofree char *installer = xasprintf("%s/installer", folder);

        free(r->boot_id);
        r->boot_id = fetched->boot_id ? xstrdup(fetched->boot_id) : NULL;
        if (!from && needed)
                return error_set(err, ERR_FAILED,
                                 "the new system has not delivered its kernel and initrd; 'initvm daemon log' says why");
        if (!from)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                autofree char *old = xasprintf("%s/%s", from, files[i]), *new = xasprintf("%s/%s", folder, files[i]);

                if (rename(old, new) < 0)
                        return error_errno(err, errno, "cannot move '%s' to '%s'", old, new);
        }
        return tree_remove(from, err) < 0 || tree_remove(installer, err) < 0 ? -1 : 0;
}
