/* SPDX-License-Identifier: MIT */
#include "daemon/disk_lock.h"

#include "base/file.h"
#include "base/util.h"

int disk_lock(const char *folder, const char *vm_name, struct error *err)
{
        autofree char *path = xasprintf("%s/disk.lock", folder);
        int fd = file_lock(path, false, err);

        if (fd < 0 && err && err->code == ERR_STATE)
                error_set(err, ERR_STATE,
                          "the disk of VM '%s' is still being worked on by a process of a daemon that was killed; that ends by "
                          "itself "
                          "within seconds: try again ('fuser %s' names it)",
                          vm_name, path);
        return fd;
}

int disk_lock_check(const char *folder, const char *vm_name, struct error *err)
{
        autoclose int fd = disk_lock(folder, vm_name, err);

        return fd < 0 ? -1 : 0;
}
