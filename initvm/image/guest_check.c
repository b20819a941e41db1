/* SPDX-License-Identifier: MIT */
/*
 * fsck(8) of each file system.  To only look, it works on the overlay that everything read only goes to: there the journal is
 * replayed first, as the next boot would, so that what a VM leaves that was killed is no error.
 */
#include "image/guest.h"

#include <stdlib.h>

/* fsck(8), exit status: what it corrects unasked (`-a`), such as counters, each boot corrects as well. The other bits are errors.
 */
#define FSCK_CORRECTED 3

static bool is_ext(const char *type)
{
        return streq(type, "ext2") || streq(type, "ext3") || streq(type, "ext4");
}

/* fsck believes a file system that says it is clean, but for one that was mounted too often. */
static int look(struct guest *guest, const char *device, const char *type, const char **ret, struct error *err)
{
        int status;

        if (guestfs_mount(guest->g, device, "/") < 0 || guestfs_umount_all(guest->g) < 0) {
                *ret = "errors"; /* not even that */
                return 0;
        }
        if (guestfs_tune2fs(guest->g, device, GUESTFS_TUNE2FS_MAXMOUNTCOUNT, 1, GUESTFS_TUNE2FS_MOUNTCOUNT, 2, -1) < 0 ||
            (status = guestfs_fsck(guest->g, type, device)) < 0)
                return guest_failed(guest, err, "'%s' cannot be checked", device);
        *ret = status & ~FSCK_CORRECTED ? "errors" : "clean";
        return 0;
}

static int check_one(struct guest *guest, const char *device, const char *type, bool repair, struct json_object *array,
                     struct error *err)
{
        struct json_object *o = json_new();
        const char *state = "not checked";
        int r = 0;

        if (is_ext(type) && repair) {
                state = "clean";
                if (guestfs_e2fsck(guest->g, device, GUESTFS_E2FSCK_FORCEALL, 1, -1) < 0)
                        r = guest_failed(guest, err, "'%s' cannot be repaired", device);
        } else if (is_ext(type)) {
                r = look(guest, device, type, &state, err);
        }
        json_add_string(o, "device", device);
        json_add_string(o, "type", type);
        json_add_string(o, "state", state);
        json_object_array_add(array, o);
        return r;
}

int guest_check(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err)
{
        struct json_object *array = json_object_new_array();
        char **filesystems;
        int r = 0;

        json_add(result, "filesystems", array);
        guest_stage("fsck", "checking the file systems");
        filesystems = guestfs_list_filesystems(guest->g);
        if (!filesystems)
                return guest_failed(guest, err, "the file systems cannot be listed");
        for (char **s = filesystems; *s; s += 2) {
                if (r == 0 && !streq(s[1], "unknown") && !streq(s[1], "swap"))
                        r = check_one(guest, s[0], s[1], request->repair, array, err);
                free(s[0]);
                free(s[1]);
        }
        free(filesystems);
        return r;
}
