/* SPDX-License-Identifier: MIT */
#include "daemon/snapshot_boot.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/vm_boot.h"

#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const files[] = {"kernel", "initrd"};

/* Beside the others: no snapshot's name begins so (vm_name_valid()). */
#define PREPARED_PREFIX ".new-"

static char *folder_of(const char *vm_folder, const char *name)
{
        return xasprintf("%s/snapshots/%s", vm_folder, name);
}

static void remove_logged(const char *folder)
{
        struct error err = ERROR_INIT;

        if (tree_remove(folder, &err) < 0)
                log_warning("%s", err.message);
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

        json_add_string(o, "bootId", r->boot_id);
        json_add_string(o, "commandLine", r->command_line);
        text = xasprintf("%s\n", json_line(o));
        if (tree_remove(folder, err) < 0 || dir_make(folder, 0700, err) < 0 || snapshot_boot_link(boot, folder, err) < 0)
                return -1;
        return file_write_atomic(note, 0600, text, strlen(text), err);
}

int snapshot_boot_prepare(const struct vm_record *r, const char *vm_folder, const char *name, struct error *err)
{
        autofree char *prepared = xasprintf(PREPARED_PREFIX "%s", name);

        return snapshot_boot_keep(r, vm_folder, prepared, err);
}

void snapshot_boot_unprepare(const char *vm_folder, const char *name)
{
        autofree char *folder = xasprintf("%s/snapshots/" PREPARED_PREFIX "%s", vm_folder, name);

        remove_logged(folder);
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

static bool is_among(struct json_object *snapshots, const char *name)
{
        for (size_t i = 0; i < json_object_array_length(snapshots); i++)
                if (streq(json_get_string(json_object_array_get_idx(snapshots, i), "name", ""), name))
                        return true;
        return false;
}

void snapshot_boot_sweep(const char *vm_folder, struct json_object *snapshots)
{
        autofree char *all = xasprintf("%s/snapshots", vm_folder);
        DIR *dir = opendir(all);

        for (struct dirent *e; dir && (e = readdir(dir));) {
                autofree char *folder = folder_of(vm_folder, e->d_name);

                if (!streq(e->d_name, ".") && !streq(e->d_name, "..") && !is_among(snapshots, e->d_name))
                        remove_logged(folder);
        }
        if (dir)
                closedir(dir);
}
