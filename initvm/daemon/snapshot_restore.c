/* SPDX-License-Identifier: MIT */
#include "daemon/snapshot_restore.h"

#include "base/file.h"
#include "base/log.h"
#include "daemon/snapshot_boot.h"
#include "daemon/task_child.h"
#include "daemon/vm_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A snapshot's name and a line end. */
#define MARK_MAX 256

struct snapshot_completion {
        struct vm *vm;
        char *name;
        struct task_child *child;
        snapshot_restored_fn done;
        void *userdata;
};

/* As initvm-image names it (image/actions.c). */
static char *mark_of(const char *vm_folder)
{
        return xasprintf("%s/buildenv.img.snapshot", vm_folder);
}

char *snapshot_restore_pending(const char *vm_folder)
{
        autofree char *mark = mark_of(vm_folder), *name = file_read(mark, MARK_MAX, NULL, NULL);

        if (!name)
                return NULL;
        name[strcspn(name, "\n")] = '\0';
        return vm_name_valid(name) ? take_ptr(name) : NULL; /* of making or removing one there is no name */
}

static int remove_mark(const struct vm *vm, struct error *err)
{
        autofree char *mark = mark_of(vm->folder);

        return unlink(mark) < 0 && errno != ENOENT ? error_errno(err, errno, "cannot remove '%s'", mark) : 0;
}

int snapshot_restore_finish(struct vm *vm, const char *name, struct json_object *result, struct error *err)
{
        snapshot_boot_restore(&vm->record, vm->folder, name);
        vm->record.size = json_get_u64(result, "virtual", vm->record.size);
        if (vm_record_save(&vm->record, vm->folder, err) < 0 || remove_mark(vm, err) < 0)
                return -1;
        boot_remove_left(&vm->record, vm->folder);
        return 0;
}

void snapshot_restore_drop(struct snapshot_completion *c)
{
        if (!c)
                return;
        c->vm->completion = NULL;
        task_child_free(c->child);
        free(c->name);
        free(c);
}

static void on_done(void *userdata, struct json_object *result, const struct error *failed)
{
        struct snapshot_completion *c = userdata;
        snapshot_restored_fn done = c->done;
        void *done_userdata = c->userdata;
        struct error err = failed ? *failed : (struct error)ERROR_INIT;
        int r;

        if (failed)
                r = failed->code == ERR_NOT_FOUND ? remove_mark(c->vm, &err) : -1;
        else
                r = snapshot_restore_finish(c->vm, c->name, result, &err);
        if (r < 0)
                error_prefix(&err, "the restore of snapshot '%s', which was interrupted, cannot be completed", c->name);
        else
                log_info("VM '%s': completed the restore of snapshot '%s', which was interrupted", c->vm->record.name, c->name);
        snapshot_restore_drop(c);
        done(done_userdata, r < 0 ? &err : NULL);
}

static void on_progress(void *userdata, struct json_object *owned_progress)
{
        struct snapshot_completion *c = userdata;

        vm_report(c->vm, owned_progress);
}

int snapshot_restore_complete(struct vm *vm, int lock, snapshot_restored_fn done, void *userdata, struct error *err)
{
        const struct task_child_options options = {.program = "initvm-image",
                                                   .method = "org.initvm.image.RestoreSnapshot",
                                                   .folder = vm->folder,
                                                   .log = "disk.log",
                                                   .held_fd = lock};
        autofree char *image = xasprintf("%s/buildenv.img", vm->folder);
        struct json_object *parameters = json_new();
        struct snapshot_completion *c = xcalloc(1, sizeof(*c));

        c->vm = vm;
        c->name = snapshot_restore_pending(vm->folder);
        c->done = done;
        c->userdata = userdata;
        json_add_string(parameters, "image", image);
        json_add_string(parameters, "snapshot", c->name);
        c->child = task_child_start(vm->daemon->loop, &options, parameters, on_progress, on_done, c, err);
        vm->completion = c;
        if (!c->child)
                snapshot_restore_drop(c);
        return vm->completion ? 0 : -1;
}
