/* SPDX-License-Identifier: MIT */
#include "image/actions.h"

#include "base/file.h"
#include "base/log.h"
#include "image/adopt.h"
#include "image/appliance.h"
#include "image/clone.h"
#include "image/file_copy.h"
#include "image/import.h"
#include "image/qemu_img.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One action as its functions see it. */
struct act {
        struct run *run;
        const struct image_request *request;
        struct json_object *parameters, *result;
};

static uint64_t allocated(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/* ---- what is known of the image as a file */

static void add_snapshots(struct json_object *info, struct json_object *result)
{
        struct json_object *list = json_get(info, "snapshots"), *array = json_object_new_array();

        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                struct json_object *from = json_object_array_get_idx(list, i), *o = json_new();

                json_add_string(o, "name", json_get_string(from, "name", ""));
                json_add_u64(o, "created", json_get_u64(from, "date-sec", 0));
                json_object_array_add(array, o);
        }
        json_add(result, "snapshots", array);
}

/* `virtual`, `allocated`, `backing` and `snapshots`: what every action that changes one of them answers. */
static int add_file(const struct act *a, struct error *err)
{
        autojson struct json_object *info = qemu_img_info(a->run, a->request->image, QEMU_IMG_FORMAT, err);

        if (!info)
                return -1;
        json_add_u64(a->result, "virtual", qemu_img_virtual_size(info));
        json_add_u64(a->result, "allocated", allocated(a->request->image));
        json_add_string(a->result, "backing", json_get_string(info, "full-backing-filename", NULL));
        add_snapshots(info, a->result);
        return 0;
}

/* ---- interrupted snapshots */

/*
 * The content is safe at every moment of a snapshot's making and removing, but killed in between it leaves clusters that are
 * counted twice, which qemu-img(1) calls errors.  A file beside the image says that one is under way; who finds it repairs first.
 * Of a restore it has the snapshot's name, and stays: what is outside of the image has to follow (daemon/snapshot_restore.h), and
 * one that was interrupted may be on the way from one size of the disk to another, where only restoring again leads out.
 */
#define REPAIRS_MAX 3 /* one repair may uncover what the next one mends */

static char *snapshot_mark(const struct act *a)
{
        return xasprintf("%s.snapshot", a->request->image);
}

static bool restoring(const char *mark)
{
        struct stat st;

        return stat(mark, &st) == 0 && st.st_size > 0;
}

static int remove_mark(const char *mark, struct error *err)
{
        return unlink(mark) < 0 ? error_errno(err, errno, "cannot remove '%s'", mark) : 0;
}

static int repair_interrupted(const struct act *a, struct error *err)
{
        autofree char *mark = snapshot_mark(a);

        if (access(mark, F_OK) < 0)
                return 0;
        run_stage(a->run, "repair", "repairing what an interrupted snapshot has left");
        for (unsigned i = 0; i < REPAIRS_MAX; i++) {
                autojson struct json_object *mended = qemu_img_check(a->run, a->request->image, true, err);
                autojson struct json_object *left = mended ? qemu_img_check(a->run, a->request->image, false, err) : NULL;

                if (!left)
                        return -1;
                if (json_get_u64(left, "corruptions", 0) + json_get_u64(left, "leaks", 0) == 0)
                        break;
        }
        return restoring(mark) ? 0 : remove_mark(mark, err);
}

static int change_snapshot(const struct act *a, const char *const *words, bool restore, struct error *err)
{
        autofree char *mark = snapshot_mark(a), *text = restore ? xasprintf("%s\n", a->request->snapshot) : xstrdup("");

        if (file_write_atomic(mark, 0600, text, strlen(text), err) < 0 || qemu_img(a->run, words, err) < 0)
                return -1;
        run_commit(a->run);
        return restore ? 0 : remove_mark(mark, err);
}

/* ---- the actions */

/* What the appliance answers becomes a part of the result. */
static int look_inside(const struct act *a, const char *operation, struct json_object *parameters, struct error *err)
{
        autojson struct json_object *inside = NULL;

        if (appliance_run(a->run, operation, parameters, &inside, err) < 0)
                return -1;
        json_object_object_foreach (inside, key, value) {
                json_add(a->result, key, json_object_get(value));
        }
        return 0;
}

static int info(const struct act *a, struct error *err)
{
        return add_file(a, err) < 0 ? -1 : look_inside(a, "inspect", a->parameters, err);
}

static int add_check(const struct act *a, const char *image, bool repair, struct error *err)
{
        autojson struct json_object *check = NULL, *o = json_new();

        run_stage(a->run, "image", repair ? "repairing the image's structure" : "checking the image's structure");
        check = qemu_img_check(a->run, image, repair, err);
        if (!check)
                return -1;
        json_add_u64(o, "corruptions", json_get_u64(check, "corruptions", 0));
        json_add_u64(o, "leaks", json_get_u64(check, "leaks", 0));
        json_add_u64(o, "errors", json_get_u64(check, "check-errors", 0));
        json_add(a->result, "image", json_object_get(o));
        return 0;
}

/* The parameters with another image in them. Owned. */
static struct json_object *with_image(struct json_object *parameters, const char *image)
{
        struct json_object *o = json_new();

        json_object_object_foreach (parameters, key, value) {
                json_add(o, key, json_object_get(value));
        }
        json_object_object_del(o, "image");
        json_add_string(o, "image", image);
        return o;
}

/* A repair may make things worse before they are better: it works on a copy. */
static int repair_copy(const struct act *a, const char *copy, struct error *err)
{
        autojson struct json_object *parameters = with_image(a->parameters, copy);

        if (file_copy(a->run, a->request->image, copy, err) < 0 || add_check(a, copy, true, err) < 0 ||
            look_inside(a, "repair", parameters, err) < 0)
                return -1;
        /* What is left now, is left. */
        return add_check(a, copy, false, err) < 0 ? -1 : file_replace(copy, a->request->image, err);
}

static int check(const struct act *a, struct error *err)
{
        autofree char *copy = file_copy_name(a->request->image);
        int r;

        if (!a->request->repair)
                return add_check(a, a->request->image, false, err) < 0 ? -1 : look_inside(a, "check", a->parameters, err);
        r = repair_copy(a, copy, err);
        unlink(copy);
        return r;
}

static int resize(const struct act *a, struct error *err)
{
        autojson struct json_object *info = qemu_img_info(a->run, a->request->image, QEMU_IMG_FORMAT, err);
        autofree char *size = xasprintf("%llu", (unsigned long long)a->request->size);
        const char *const words[] = {"resize", "-q", "-f", QEMU_IMG_FORMAT, a->request->image, size, NULL};

        if (!info)
                return -1;
        if (a->request->size < qemu_img_virtual_size(info))
                return error_set(
                        err, ERR_INVALID,
                        "the disk has %s already, and cannot become smaller: 'initvm disk compact' gives the host back what "
                        "is not used of it",
                        format_size(qemu_img_virtual_size(info)));
        run_stage(a->run, "image", "growing the image");
        /* Of the same size: perhaps the image was grown, and the rest was interrupted. */
        if (a->request->size > qemu_img_virtual_size(info) && qemu_img(a->run, words, err) < 0)
                return -1;
        /* Whether the rest can follow is seen from the inside only, by an appliance that keeps the size it was started with. */
        if (look_inside(a, "grow", a->parameters, err) < 0)
                return error_prefix(err, "the disk has %s now, which stays, but its file system has not grown",
                                    format_size(a->request->size));
        run_commit(a->run);
        return add_file(a, err);
}

static int compact(const struct act *a, struct error *err)
{
        uint64_t before = allocated(a->request->image);

        if (look_inside(a, "trim", a->parameters, err) < 0)
                return -1;
        run_commit(a->run);
        json_add_u64(a->result, "before", before);
        return add_file(a, err);
}

static int list(const struct act *a, struct error *err)
{
        return look_inside(a, "list", a->parameters, err);
}

static int read_files(const struct act *a, struct error *err)
{
        return look_inside(a, "read", a->parameters, err);
}

static int write_files(const struct act *a, struct error *err)
{
        return look_inside(a, "write", a->parameters, err);
}

/* The file that becomes FILE when it is whole has a name of its own, so that nobody else's is touched, another export's included.
 * zstd: smaller than qcow2's first compression and several times as fast; QEMU reads it since 5.1 (qemu-img(1)). */
static int export(const struct act *a, struct error *err)
{
        autofree char *temporary = xasprintf("%s.XXXXXX", a->request->file);
        autoclose int fd = mkostemp(temporary, O_CLOEXEC);
        const char *const words[] = {
                "convert",         "-p",      "-c", "-f", QEMU_IMG_FORMAT, "-O", QEMU_IMG_FORMAT, "-o", "compression_type=zstd",
                a->request->image, temporary, NULL};
        int r;

        if (fd < 0)
                return error_errno(err, errno, "cannot make a file beside '%s'", a->request->file);
        run_stage(a->run, "export", "writing a compressed copy");
        r = qemu_img(a->run, words, err);
        if (r == 0)
                r = file_replace(temporary, a->request->file, err);
        if (r < 0)
                unlink(temporary);
        json_add_u64(a->result, "size", allocated(a->request->file));
        return r;
}

static int clone_to(const struct act *a, struct error *err)
{
        return image_clone(a->run, a->request, a->result, err);
}

/* What qemu-img answers of it now is that of the new one, which is the disk whether it answers or not. */
static int import(const struct act *a, struct error *err)
{
        struct error untold = ERROR_INIT;

        if (image_import(a->run, a->request, a->result, err) < 0)
                return -1;
        if (add_file(a, &untold) < 0)
                log_warning("the new disk cannot be described: %s", untold.message);
        return 0;
}

static int snapshot_list(const struct act *a, struct error *err)
{
        return add_file(a, err);
}

static bool has_snapshot(struct json_object *result, const char *name)
{
        struct json_object *array = json_get(result, "snapshots");

        for (size_t i = 0; i < json_object_array_length(array); i++)
                if (streq(json_get_string(json_object_array_get_idx(array, i), "name", ""), name))
                        return true;
        return false;
}

/*
 * Kernel and initrd that the daemon has laid ready for the snapshot (daemon/snapshot_boot.h) take the place of those that are
 * left of one that is gone: there is no snapshot of that name at this moment.  Outside of a VM's folder there are none.
 */
static int take_boot(const struct act *a, struct error *err)
{
        autofree char *folder =
                xasprintf("%.*s/snapshots", (int)(strrchr(a->request->image, '/') - a->request->image), a->request->image);
        autofree char *ready = xasprintf("%s/.new-%s", folder, a->request->snapshot);
        autofree char *place = xasprintf("%s/%s", folder, a->request->snapshot);

        if (access(ready, F_OK) < 0)
                return 0;
        if (tree_remove(place, err) < 0)
                return -1;
        return rename(ready, place) == 0 ? 0 : error_errno(err, errno, "cannot keep the kernel of the snapshot as '%s'", place);
}

/* qemu-img would make a second one of the same name, and take the first of several. */
static int snapshot(const struct act *a, const char *letter, bool wanted, const char *text, struct error *err)
{
        const char *name = a->request->snapshot;
        const char *const words[] = {"snapshot", "-q", letter, name, a->request->image, NULL};

        if (add_file(a, err) < 0)
                return -1;
        if (wanted && !has_snapshot(a->result, name))
                return error_set(err, ERR_NOT_FOUND, "there is no snapshot '%s'; see 'initvm snapshot list'", name);
        if (!wanted && has_snapshot(a->result, name))
                return error_set(err, ERR_EXISTS, "there is a snapshot '%s' already: remove it, or choose another name", name);
        if (!wanted && take_boot(a, err) < 0)
                return -1;
        run_stage(a->run, "snapshot", text);
        return change_snapshot(a, words, streq(letter, "-a"), err) < 0 ? -1 : add_file(a, err);
}

static int snapshot_create(const struct act *a, struct error *err)
{
        return snapshot(a, "-c", false, "making the snapshot", err);
}

static int snapshot_restore(const struct act *a, struct error *err)
{
        return snapshot(a, "-a", true, "restoring the snapshot", err);
}

static int snapshot_remove(const struct act *a, struct error *err)
{
        return snapshot(a, "-d", true, "removing the snapshot", err);
}

static int adopt(const struct act *a, struct error *err)
{
        return image_adopt(a->run, a->request, a->result, err);
}

enum needs {
        NEEDS_SIZE = 1,
        NEEDS_PATHS = 2,
        NEEDS_STREAM = 4,
        NEEDS_FILE = 8,
        NEEDS_SNAPSHOT = 16,
        NEEDS_HOSTNAME = 32,
        NEEDS_MACHINE = 64, /* agent and architecture */
        FOREIGN = 128,      /* the image is no VM's: nothing beside it is ours */
};

static const struct action {
        const char *name;
        unsigned needs;
        int (*run)(const struct act *a, struct error *err);
} actions[] = {
        {"Info", 0, info},
        {"Check", 0, check},
        {"Resize", NEEDS_SIZE, resize},
        {"Compact", 0, compact},
        {"List", NEEDS_PATHS, list},
        {"Read", NEEDS_PATHS | NEEDS_STREAM, read_files},
        {"Write", NEEDS_PATHS | NEEDS_STREAM, write_files},
        {"Export", NEEDS_FILE, export},
        {"Clone", NEEDS_FILE | NEEDS_HOSTNAME, clone_to},
        {"Adopt", NEEDS_FILE | NEEDS_HOSTNAME | NEEDS_MACHINE | FOREIGN, adopt},
        {"Import", NEEDS_FILE, import},
        {"ListSnapshots", 0, snapshot_list},
        {"CreateSnapshot", NEEDS_SNAPSHOT, snapshot_create},
        {"RestoreSnapshot", NEEDS_SNAPSHOT, snapshot_restore},
        {"RemoveSnapshot", NEEDS_SNAPSHOT, snapshot_remove},
};

int image_act(struct run *run, const char *name, const struct image_request *r, struct json_object *parameters,
              struct json_object *result, struct error *err)
{
        const struct act a = {.run = run, .request = r, .parameters = parameters, .result = result};
        unsigned given = (r->size ? NEEDS_SIZE : 0) | (r->paths ? NEEDS_PATHS : 0) | (r->stream ? NEEDS_STREAM : 0) |
                         (r->file ? NEEDS_FILE : 0) | (r->snapshot ? NEEDS_SNAPSHOT : 0) | (r->hostname ? NEEDS_HOSTNAME : 0) |
                         (r->agent && r->architecture ? NEEDS_MACHINE : 0);

        for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
                if (!streq(actions[i].name, name))
                        continue;
                if (actions[i].needs & ~(given | FOREIGN))
                        return error_set(err, ERR_INVALID, "'%s' was called without a parameter that it needs", name);
                if (!(actions[i].needs & FOREIGN) && repair_interrupted(&a, err) < 0)
                        return -1;
                return actions[i].run(&a, err);
        }
        return error_set(err, ERR_PROTOCOL, "this program does not know '%s'", name);
}
