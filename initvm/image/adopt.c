/* SPDX-License-Identifier: MIT */
#include "image/adopt.h"

#include "base/util.h"
#include "image/appliance.h"
#include "image/file_copy.h"
#include "image/keys.h"
#include "image/qemu_img.h"
#include "image/source.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

/* Images as they are distributed have hardly any space: what a machine of ours has when nothing is said. */
#define SIZE_DEFAULT ((uint64_t)64 << 30)

/* Besides the copy: kernel and initrd, in the image and beside it, the agent, tables of the larger file system. */
#define EXTRA_SPACE ((uint64_t)384 << 20)

static int choose_size(const struct image_request *r, const struct source *source, uint64_t *ret, struct error *err)
{
        if (r->size && r->size < source->size)
                return error_set(err, ERR_INVALID,
                                 "the image has %s, and a disk cannot become smaller: choose --size %lluG or more",
                                 format_size(source->size), (unsigned long long)((source->size + (1ull << 30) - 1) >> 30));
        *ret = r->size ? r->size : MAX(source->size, SIZE_DEFAULT);
        return 0;
}

static int make_overlay(struct run *run, const struct image_request *r, const struct source *source, const char *overlay,
                        struct error *err)
{
        autofree char *text = NULL;
        uint64_t size = 0;

        if (choose_size(r, source, &size, err) < 0)
                return -1;
        text = xasprintf("%llu", (unsigned long long)size);
        const char *const words[] = {"create", "-q", "-f", QEMU_IMG_FORMAT, "-F", source->format, "-b", r->image,
                                     overlay,  text, NULL};

        return qemu_img(run, words, err);
}

static int work_inside(struct run *run, const struct image_request *r, const char *overlay, struct json_object *result,
                       struct error *err)
{
        autojson struct json_object *inside = NULL, *own = json_new();

        json_add_string(own, "image", overlay);
        json_add_string(own, "file", r->file);
        json_add_bool(own, "kvm", r->kvm);
        json_add_string(own, "hostname", r->hostname);
        json_add_string(own, "architecture", r->architecture);
        json_add_string(own, "agent", r->agent);
        json_add_u64(own, "size", r->size);
        if (appliance_run(run, "adopt", own, &inside, err) < 0)
                return -1;
        json_object_object_foreach (inside, key, value) {
                json_add(result, key, json_object_get(value));
        }
        return 0;
}

/* Self-contained: also what the image itself is based on is copied. */
static int make_whole(struct run *run, const char *overlay, const char *file, struct error *err)
{
        const char *const words[] = {"convert", "-p", "-f", QEMU_IMG_FORMAT, "-O", QEMU_IMG_FORMAT,
                                     "-W",      "-m", "16", overlay,         file, NULL};

        run_stage(run, "copy", "copying the image");
        return qemu_img(run, words, err);
}

static int stages(struct run *run, const struct image_request *r, const char *overlay, const struct image_keys *keys,
                  struct json_object *result, struct error *err)
{
        struct source source;

        run_stage(run, "check", "looking at the image");
        if (source_check(run, r->image, &source, err) < 0 || file_check_space(r->file, source.content + EXTRA_SPACE, err) < 0 ||
            make_overlay(run, r, &source, overlay, err) < 0 || image_keys_make(run, keys, r->hostname, err) < 0 ||
            work_inside(run, r, overlay, result, err) < 0 || source_check_unchanged(r->image, &source, err) < 0 ||
            make_whole(run, overlay, r->file, err) < 0)
                return -1;
        return 0;
}

int image_adopt(struct run *run, const struct image_request *r, struct json_object *result, struct error *err)
{
        autofree char *overlay = xasprintf("%s.overlay", r->file);
        struct image_keys keys;
        int status;

        image_keys_init(&keys, r->file);
        status = stages(run, r, overlay, &keys, result, err);
        unlink(overlay);
        image_keys_forget_host_key(&keys);
        image_keys_done(&keys);
        return status;
}
