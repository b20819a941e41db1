/* SPDX-License-Identifier: MIT */
#include "daemon/import.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/snapshot_boot.h"
#include "daemon/vm_boot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The import's own folder stays until the record has been written: hard links. */
static int take_boot(struct vm_record *r, const char *vm_folder, const char *import, struct error *err)
{
        autofree char *boot = xasprintf("%s/" BOOT_FOLDER_PREFIX "XXXXXX", vm_folder);

        if (!mkdtemp(boot) || chmod(boot, geteuid() == 0 ? 0711 : 0700) < 0) /* QEMU may be another user's */
                return error_errno(err, errno, "cannot make '%s'", boot);
        if (snapshot_boot_link(import, boot, err) < 0)
                return -1;
        free(r->boot_folder);
        r->boot_folder = xstrdup(strrchr(boot, '/') + 1);
        free(take_ptr(r->boot_id)); /* the guest tells it when it is stopped next */
        return 0;
}

static int follow(struct vm_record *r, const char *vm_folder, const char *import, const char *ready, struct error *err)
{
        autojson struct json_object *o = json_parse_file(ready, err);
        autofree char *snapshots = xasprintf("%s/snapshots", vm_folder);

        if (!o || take_boot(r, vm_folder, import, err) < 0 || tree_remove(snapshots, err) < 0 ||
            snapshot_boot_keep(r, vm_folder, SNAPSHOT_CREATED, err) < 0)
                return -1;
        r->size = json_get_u64(o, "virtual", r->size);
        if (vm_record_save(r, vm_folder, err) < 0)
                return -1;
        boot_remove_left(r, vm_folder);
        log_info("VM '%s' has the disk that was imported", r->name);
        return 0;
}

int import_complete(struct vm_record *r, const char *vm_folder, struct error *err)
{
        autofree char *import = xasprintf("%s/import", vm_folder), *ready = xasprintf("%s/ready", import);
        autofree char *new = xasprintf("%s/buildenv.img.new", vm_folder);
        bool committed = access(ready, F_OK) == 0 && access(new, F_OK) < 0;

        if (access(import, F_OK) < 0)
                return 0;
        if (committed && follow(r, vm_folder, import, ready, err) < 0)
                return error_prefix(err, "the import of a disk cannot be completed");
        unlink(ready); /* first: without it the folder means nothing, however much of it is left */
        return tree_remove(import, err);
}
