/* SPDX-License-Identifier: MIT */
#include "image/clone.h"

#include "image/appliance.h"
#include "image/file_copy.h"
#include "image/keys.h"
#include "image/qemu_img.h"

/* As daemon/snapshot_boot.h has it. */
#define SNAPSHOT_CREATED "created"

static int remove_snapshots(struct run *run, const char *image, struct error *err)
{
        autojson struct json_object *info = qemu_img_info(run, image, QEMU_IMG_FORMAT, err);
        struct json_object *list = json_get(info, "snapshots");

        if (!info)
                return -1;
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                const char *name = json_get_string(json_object_array_get_idx(list, i), "name", "");
                const char *const words[] = {"snapshot", "-q", "-d", name, image, NULL};

                if (qemu_img(run, words, err) < 0)
                        return -1;
        }
        return 0;
}

static int give_identity(struct run *run, const struct image_request *r, struct json_object *result, struct error *err)
{
        autojson struct json_object *parameters = json_new(), *inside = NULL;

        json_add_string(parameters, "image", r->file);
        json_add_bool(parameters, "kvm", r->kvm);
        json_add_string(parameters, "hostname", r->hostname);
        json_add_string(parameters, "root", r->root);
        if (appliance_run(run, "identity", parameters, &inside, err) < 0)
                return -1;
        json_add_bool(result, "ssh", json_get_bool(inside, "ssh", false));
        return 0;
}

int image_clone(struct run *run, const struct image_request *r, struct json_object *result, struct error *err)
{
        const char *const snapshot[] = {"snapshot", "-q", "-c", SNAPSHOT_CREATED, r->file, NULL};
        struct image_keys keys;
        int status;

        image_keys_init(&keys, r->file);
        status = file_copy(run, r->image, r->file, err);
        if (status == 0)
                status = remove_snapshots(run, r->file, err);
        if (status == 0)
                status = image_keys_make(run, &keys, r->hostname, err);
        if (status == 0)
                status = give_identity(run, r, result, err);
        if (status == 0)
                status = qemu_img(run, snapshot, err);
        image_keys_forget_host_key(&keys);
        image_keys_done(&keys);
        return status;
}
