/* SPDX-License-Identifier: MIT */
#include "image/import.h"

#include "base/file.h"
#include "image/appliance.h"
#include "image/file_copy.h"
#include "image/qemu_img.h"
#include "image/source.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As daemon/snapshot_boot.h has it: what 'initvm reset' goes back to. */
#define SNAPSHOT_CREATED "created"

/* Besides the copy: kernel and initrd. */
#define EXTRA_SPACE ((uint64_t)256 << 20)

/* It would be read while it is replaced, for nothing. */
static int check_other(const struct image_request *r, struct error *err)
{
        struct stat own, other;

        if (stat(r->image, &own) == 0 && stat(r->file, &other) == 0 && own.st_dev == other.st_dev && own.st_ino == other.st_ino)
                return error_set(err, ERR_INVALID, "'%s' is the disk of the VM itself", r->file);
        return 0;
}

static int check_structure(struct run *run, const struct image_request *r, const struct source *source, struct error *err)
{
        autojson struct json_object *check = NULL;

        if (!streq(source->format, QEMU_IMG_FORMAT))
                return 0;
        check = qemu_img_check(run, r->file, false, err);
        if (!check)
                return -1;
        if (json_get_u64(check, "corruptions", 0) + json_get_u64(check, "check-errors", 0) > 0)
                return error_set(err, ERR_INVALID, "the structure of '%s' is damaged: 'qemu-img check' names what is wrong",
                                 r->file);
        return 0;
}

static int copy(struct run *run, const struct image_request *r, const struct source *source, const char *new, struct error *err)
{
        const char *const words[] = {"convert", "-p", "-f", source->format, "-O", QEMU_IMG_FORMAT,
                                     "-W",      "-m", "16", r->file,        new,  NULL};

        run_stage(run, "copy", "copying the image");
        return file_check_space(new, source->content + EXTRA_SPACE, err) < 0 ? -1 : qemu_img(run, words, err);
}

static int look_inside(struct run *run, const struct image_request *r, const char *new, const char *folder,
                       struct json_object *result, struct error *err)
{
        autojson struct json_object *inside = NULL, *own = json_new();

        json_add_string(own, "image", new);
        json_add_string(own, "file", folder);
        json_add_string(own, "root", r->root);
        json_add_bool(own, "kvm", r->kvm);
        if (appliance_run(run, "import", own, &inside, err) < 0)
                return -1;
        json_object_object_foreach (inside, key, value) {
                json_add(result, key, json_object_get(value));
        }
        return 0;
}

/* Everything is on the disk before it counts. */
static int commit(const struct image_request *r, const char *new, const char *folder, uint64_t size, struct error *err)
{
        autojson struct json_object *o = json_new();
        autofree char *ready = xasprintf("%s/ready", folder), *text = NULL;

        json_add_u64(o, "virtual", size);
        text = xasprintf("%s\n", json_line(o));
        for (const char *const *name = (const char *const[]){"kernel", "initrd", NULL}; *name; name++) {
                autofree char *path = xasprintf("%s/%s", folder, *name);

                if (file_sync(path, err) < 0)
                        return -1;
        }
        return file_write_atomic(ready, 0600, text, strlen(text), err) < 0 ? -1 : file_replace(new, r->image, err);
}

static int stages(struct run *run, const struct image_request *r, const char *new, const char *folder, struct json_object *result,
                  struct error *err)
{
        const char *const snapshot[] = {"snapshot", "-q", "-c", SNAPSHOT_CREATED, new, NULL};
        struct source source;

        run_stage(run, "check", "looking at the image");
        if (check_other(r, err) < 0 || source_check(run, r->file, &source, err) < 0 ||
            check_structure(run, r, &source, err) < 0 || copy(run, r, &source, new, err) < 0 ||
            source_check_unchanged(r->file, &source, err) < 0 || tree_remove(folder, err) < 0 ||
            dir_make(folder, 0700, err) < 0 || look_inside(run, r, new, folder, result, err) < 0 ||
            qemu_img(run, snapshot, err) < 0)
                return -1;
        run_stage(run, "commit", "putting it in the place of the old one");
        run_commit(run);
        json_add_u64(result, "virtual", source.size);
        return commit(r, new, folder, source.size, err);
}

int image_import(struct run *run, const struct image_request *r, struct json_object *result, struct error *err)
{
        autofree char *beside = xstrndup(r->image, (size_t)(strrchr(r->image, '/') - r->image));
        autofree char *new = file_copy_name(r->image), *folder = xasprintf("%s/import", beside);
        int status = stages(run, r, new, folder, result, err);

        /* Once the new one has taken the old one's place it needs the folder, whatever failed after that. */
        if (status < 0 && access(new, F_OK) == 0) {
                tree_remove(folder, NULL); /* first: without it the new image means nothing */
                unlink(new);
        }
        return status;
}
