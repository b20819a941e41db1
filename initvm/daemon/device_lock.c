/* SPDX-License-Identifier: MIT */
#include "daemon/device_lock.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Debian builds libvirt with it. */
#define LOCK_FOLDER "/var/lock"

/* The lock of a device: "/dev/" is dropped, and every '/' becomes '_' (virChrdevLockFilePath() of libvirt). Owned. */
static char *lock_path(const char *device)
{
        autofree char *name = xstrdup(str_has_prefix(device, "/dev/") ? device + strlen("/dev") : device);

        for (char *c = name; *c; c++)
                if (*c == '/')
                        *c = '_';
        return xasprintf("%s/LCK..%s", LOCK_FOLDER, name);
}

/* libvirt writes its XML by itself: attributes stand in single quotes. */
void device_locks_remove(virDomainPtr domain)
{
        static const char attribute[] = " path='";
        autofree char *xml = virDomainGetXMLDesc(domain, 0);

        for (const char *at = xml; at && (at = strstr(at, attribute));) {
                autofree char *device = NULL, *path = NULL;

                at += strlen(attribute);
                device = xstrndup(at, strcspn(at, "'"));
                path = lock_path(device);
                if (device[0] == '/')
                        (void)unlink(path); /* mostly there is none */
        }
}

void kept_ptys_take(struct kept_ptys *kept)
{
        kept->n = 0;
        while (kept->n < DEVICE_LOCKS_KEPT_MAX) {
                int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
                autofree char *path = NULL;
                char name[64];

                if (fd < 0)
                        return;
                if (ptsname_r(fd, name, sizeof(name)) != 0) {
                        close(fd);
                        return;
                }
                path = lock_path(name);
                if (unlink(path) == 0 || errno == ENOENT) {
                        close(fd); /* the next one to ask gets the same number: the lowest that is free */
                        return;
                }
                kept->fds[kept->n++] = fd;
        }
}

void kept_ptys_release(struct kept_ptys *kept)
{
        while (kept->n > 0)
                close(kept->fds[--kept->n]);
}
