/* SPDX-License-Identifier: MIT */
/* The kernel and the initrd that a mounted system boots. */
#include "base/boot_files.h"
#include "image/guest.h"

#include <stdlib.h>

static int take(struct guest *guest, const char *from, const char *folder, const char *name, struct error *err)
{
        autofree char *to = xasprintf("%s/%s", folder, name);

        return guestfs_download(guest->g, from, to) < 0 ? guest_failed(guest, err, "'%s' cannot be read", from) : 0;
}

int guest_take_boot(struct guest *guest, const char *folder, struct error *err)
{
        autostrv char **names = guestfs_ls(guest->g, "/boot");
        autofree char *release = names ? boot_newest_of(names, true) : NULL, *kernel = NULL, *initrd = NULL;

        if (!release)
                return error_set(err, ERR_UNSUPPORTED, "there is no kernel with an initrd in the image's /boot");
        guest_stage("kernel", "taking kernel and initrd out");
        kernel = xasprintf("/boot/vmlinuz-%s", release);
        initrd = xasprintf("/boot/initrd.img-%s", release);
        return take(guest, kernel, folder, "kernel", err) < 0 || take(guest, initrd, folder, "initrd", err) < 0 ? -1 : 0;
}
