/* SPDX-License-Identifier: MIT */
#include "daemon/snapshot_boot.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/vm_boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const files[] = {"kernel", "initrd"};

static char *folder_of(const char *vm_folder, const char *name)
{
        return xasprintf("%s/snapshots/%s", vm_folder, name);
}

int snapshot_boot_link(const char *from, const char *to, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                autofree char *old = xasprintf("%s/%s", from, files[i]), *new = xasprintf("%s/%s", to, files[i]);

                if (link(old, new) < 0)
                        return error_errno(err, errno, "cannot keep '%s' as '%s'", old, new);
        }
        return 0;
}

int snapshot_boot_keep(const struct vm_record *r, const char *vm_folder, const char *name, struct error *err)
{
        autofree char *folder = folder_of(vm_folder, name), *boot = boot_folder(r, vm_folder);
        autofree char *note = xasprintf("%s/snapshot.json", folder), *text = NULL;
        autojson struct json_object *o = json_new();

        if (access(note, F_OK) == 0) /* there is one of that name: that is refused later, and this belongs to it */
                return 0;
        json_add_string(o, "bootId", r->boot_id);
        json_add_string(o, "commandLine", r->command_line);
        text = xasprintf("%s\n", json_line(o));
        tree_remove(folder, NULL);
        if (dir_make(folder, 0700, err) < 0 || snapshot_boot_link(boot, folder, err) < 0)
                return -1;
        return file_write_atomic(note, 0600, text, strlen(text), err);
}

static int restore(struct vm_record *r, const char *vm_folder, const char *name, struct error *err)
{
        autofree char *folder = folder_of(vm_folder, name), *note = xasprintf("%s/snapshot.json", folder);
        autofree char *boot = xasprintf("%s/" BOOT_FOLDER_PREFIX "XXXXXX", vm_folder);
        autojson struct json_object *o = json_parse_file(note, err);
        const char *id = json_get_string(o, "bootId", NULL);

        if (!o)
                return -1;
        if (!mkdtemp(boot) || chmod(boot, geteuid() == 0 ? 0711 : 0700) < 0) /* QEMU may be another user's */
                return error_errno(err, errno, "cannot make '%s'", boot);
        if (snapshot_boot_link(folder, boot, err) < 0)
                return -1;
        free(r->boot_folder);
        free(r->boot_id);
        r->boot_folder = xstrdup(strrchr(boot, '/') + 1);
        r->boot_id = id ? xstrdup(id) : NULL;
        return 0;
}

void snapshot_boot_restore(struct vm_record *r, const char *vm_folder, const char *name)
{
        struct error err = ERROR_INIT;

        if (restore(r, vm_folder, name, &err) < 0)
                log_warning("VM '%s' keeps the kernel that it has: %s", r->name, err.message);
}

void snapshot_boot_remove(const char *vm_folder, const char *name)
{
        autofree char *folder = folder_of(vm_folder, name);
        struct error err = ERROR_INIT;

        if (tree_remove(folder, &err) < 0)
                log_warning("%s", err.message);
}
