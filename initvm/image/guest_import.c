/* SPDX-License-Identifier: MIT */
/* Whether an image is a disk of the VM that it is to be the disk of: its file systems are sound, its root file system is the one
 * that the VM boots, and our agent is in it.  Kernel and initrd are taken out. */
#include "image/guest.h"
#include "provision/guest_files.h"

#include <stdlib.h>
#include <string.h>

static int check_sound(struct json_object *result, struct error *err)
{
        struct json_object *list = json_get(result, "filesystems");

        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                struct json_object *o = json_object_array_get_idx(list, i);

                if (streq(json_get_string(o, "state", ""), "errors"))
                        return error_set(err, ERR_INVALID, "the file system on '%s' of the image is damaged",
                                         json_get_string(o, "device", "?"));
        }
        return 0;
}

static int mount(struct guest *guest, struct error *err)
{
        if (guest_mount(guest, err) < 0)
                return -1;
        return guest->uuid ? 0
                           : error_set(err, ERR_UNSUPPORTED,
                                       "the image was not exported from this VM, whose root file system has another UUID: make a "
                                       "VM of it with 'initvm create --from'");
}

int guest_import(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err)
{
        if (!request->file || !request->root)
                return error_set(err, ERR_INVALID, "'import' was called without a parameter that it needs");
        if (guest_check(guest, request, result, err) < 0 || check_sound(result, err) < 0 || mount(guest, err) < 0)
                return -1;
        if (guestfs_is_file(guest->g, GUEST_AGENT) != 1 || guestfs_is_file(guest->g, GUEST_AGENT_UNIT) != 1)
                return error_set(
                        err, ERR_UNSUPPORTED,
                        "the image has no agent, so that the VM could not be reached: make another VM of it with 'initvm "
                        "create --from'");
        return guest_take_boot(guest, request->file, err);
}
