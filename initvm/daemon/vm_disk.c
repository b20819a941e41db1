/* SPDX-License-Identifier: MIT */
#include "daemon/vm_disk.h"

#include "base/file.h"
#include "base/log.h"
#include "daemon/disk_lock.h"
#include "daemon/disk_size.h"
#include "daemon/import.h"
#include "daemon/progress.h"
#include "daemon/snapshot_boot.h"
#include "daemon/snapshot_restore.h"
#include "daemon/task_child.h"
#include "daemon/vm_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct vm_disk {
        struct vm *vm;
        struct vm_disk_options options;
        struct json_object *parameters; /* until the child has them */
        char *snapshot;                 /* the parameter of that name, or NULL */
        int lock;
        struct task_child *child; /* NULL: not started yet */
        bool cancelled;
        bool decided; /* whether the appliance uses KVM, or why that cannot be said */
        bool waiting; /* for that, after vm_disk_start() has returned */
        bool kvm;
        struct error accel_error;
        vm_disk_done_fn done;
        void *userdata;
};

void vm_disk_drop(struct vm_disk *d)
{
        if (!d)
                return;
        d->vm->disk = NULL;
        cleanup_close(&d->lock);
        json_object_put(d->parameters);
        task_child_free(d->child);
        free(d->snapshot);
        free(d);
}

/* The operation is over before it is told, so that who is told can begin the next one. */
static void finish(struct vm_disk *d, struct json_object *result, const struct error *err)
{
        struct error copy = err ? *err : (struct error)ERROR_INIT;
        vm_disk_done_fn done = d->done;
        void *userdata = d->userdata;
        struct vm *vm = d->vm;

        vm_disk_drop(d);
        vm_operation_end(vm, NULL);
        done(userdata, result, err ? &copy : NULL);
}

/* The image has it right, whatever became of the work. */
static void take_size(struct vm_record *record, const char *folder)
{
        uint64_t size = disk_size(folder);
        struct error err = ERROR_INIT;

        if (size == 0 || size == record->size)
                return;
        record->size = size;
        if (vm_record_save(record, folder, &err) < 0)
                log_warning("VM '%s': %s", record->name, err.message);
}

/* What the daemon has besides the image follows it. */
static int follow(struct vm_disk *d, struct json_object *result, const struct error *failed, struct error *err)
{
        struct vm *vm = d->vm;
        struct json_object *snapshots = json_get(result, "snapshots");

        if (streq(d->options.method, "Import") && import_complete(&vm->record, vm->folder, err) < 0)
                return -1;
        if (streq(d->options.method, "RestoreSnapshot") && !failed)
                return snapshot_restore_finish(vm, d->snapshot, result, err);
        if (streq(d->options.method, "CreateSnapshot") && failed)
                snapshot_boot_unprepare(vm->folder, d->snapshot);
        if (snapshots)
                snapshot_boot_sweep(vm->folder, snapshots);
        take_size(&vm->record, vm->folder);
        boot_remove_left(&vm->record, vm->folder);
        return 0;
}

static void on_progress(void *userdata, struct json_object *owned_progress)
{
        struct vm_disk *d = userdata;

        vm_report(d->vm, owned_progress);
}

static void on_child_done(void *userdata, struct json_object *result, const struct error *err)
{
        struct vm_disk *d = userdata;
        struct error failure = ERROR_INIT;

        finish(d, result, follow(d, result, err, &failure) < 0 ? &failure : err);
}

/* From the kernel's command line, as create has made it. Owned; NULL: it is not in it. */
static char *root_uuid(const struct vm_record *r)
{
        static const char option[] = "root=UUID=";
        const char *at = strstr(r->command_line, option);

        return at ? xstrndup(at + strlen(option), strcspn(at + strlen(option), " ")) : NULL;
}

static int start_child(struct vm_disk *d, struct error *err)
{
        struct vm *vm = d->vm;
        autofree char *image = xasprintf("%s/buildenv.img", vm->folder), *root = root_uuid(&vm->record);
        autofree char *method = xasprintf("org.initvm.image.%s", d->options.method);
        const struct task_child_options child = {
                .program = "initvm-image", .method = method, .folder = vm->folder, .log = "disk.log", .held_fd = d->lock};

        json_add_string(d->parameters, "image", image);
        json_add_string(d->parameters, "root", root);
        json_add_bool(d->parameters, "kvm", d->kvm);
        if (d->snapshot && streq(d->options.method, "CreateSnapshot") &&
            snapshot_boot_prepare(&vm->record, vm->folder, d->snapshot, err) < 0)
                return -1;
        d->child = task_child_start(vm->daemon->loop, &child, take_ptr(d->parameters), on_progress, on_child_done, d, err);
        if (d->child)
                cleanup_close(&d->lock); /* it is the child's from here on */
        return d->child ? 0 : -1;
}

static void on_completed(void *userdata, const struct error *err)
{
        struct vm_disk *d = userdata;
        struct error failure = err ? *err : (struct error)ERROR_INIT;

        if (!err && d->cancelled)
                error_set(&failure, ERR_CANCELLED, "cancelled");
        if (failure.code != ERR_NONE || start_child(d, &failure) < 0)
                finish(d, NULL, &failure);
}

/* A restore that was interrupted comes before anything but another restore. */
static int start_work(struct vm_disk *d, struct error *err)
{
        autofree char *pending = snapshot_restore_pending(d->vm->folder);

        if (!pending || streq(d->options.method, "RestoreSnapshot"))
                return start_child(d, err);
        return snapshot_restore_complete(d->vm, d->lock, on_completed, d, err);
}

/* At once or later. */
static void on_accel(void *userdata, bool kvm, const char *why_not, const struct error *err)
{
        struct vm_disk *d = userdata;
        struct error failure = err ? *err : (struct error)ERROR_INIT;

        (void)why_not;
        d->decided = true;
        d->kvm = kvm;
        d->accel_error = failure;
        if (!d->waiting)
                return;
        if (!err && d->cancelled)
                error_set(&failure, ERR_CANCELLED, "cancelled");
        if (failure.code != ERR_NONE || start_work(d, &failure) < 0)
                finish(d, NULL, &failure);
}

static int check_idle(struct vm *vm, struct error *err)
{
        if (vm_busy(vm, err))
                return -1;
        if (vm->domain)
                return error_set(err, ERR_STATE,
                                 "VM '%s' is running, so that its disk belongs to it: stop it first with 'initvm -n %s stop'",
                                 vm->record.name, vm->record.name);
        return 0;
}

struct vm_disk *vm_disk_start(struct vm *vm, const struct vm_disk_options *options, struct json_object *owned_parameters,
                              vm_progress_fn progress, vm_disk_done_fn done, void *userdata, void *progress_userdata,
                              struct error *err)
{
        autofree char *boot = boot_folder(&vm->record, vm->folder), *kernel = xasprintf("%s/kernel", boot);
        autojson struct json_object *parameters = owned_parameters;
        const char *snapshot = json_get_string(parameters, "snapshot", NULL);
        autoclose int lock = -1;
        struct vm_disk *d;

        if (check_idle(vm, err) < 0)
                return NULL;
        if (snapshot && !vm_name_valid(snapshot)) {
                error_set(err, ERR_INVALID,
                          "'%s' cannot be a snapshot's name: 1 to %d letters, digits, '.', '_' or '-', beginning with a "
                          "letter or digit",
                          snapshot, VM_NAME_MAX);
                return NULL;
        }
        lock = disk_lock(vm->folder, vm->record.name, err);
        if (lock < 0 || vm_disk_recover(&vm->record, vm->folder, err) < 0)
                return NULL;
        d = xcalloc(1, sizeof(*d));
        *d = (struct vm_disk){.vm = vm,
                              .options = *options,
                              .snapshot = snapshot ? xstrdup(snapshot) : NULL,
                              .parameters = take_ptr(parameters),
                              .lock = take_fd(&lock),
                              .decided = !options->appliance,
                              .done = done,
                              .userdata = userdata};
        vm->disk = d;
        vm_operation_begin(vm, options->doing, progress, NULL, progress_userdata);
        if (options->appliance)
                accel_decide(vm->daemon->accel, vm->record.acceleration, kernel, on_accel, d);
        d->waiting = !d->decided;
        if (d->decided && (d->accel_error.code != ERR_NONE || start_work(d, &d->accel_error) < 0)) {
                *err = d->accel_error;
                vm_disk_drop(d);
                vm_operation_end(vm, NULL);
                return NULL;
        }
        return d;
}

void vm_disk_cancel(struct vm_disk *d)
{
        d->cancelled = true;
        if (d->child)
                task_child_cancel(d->child);
}

int vm_disk_recover(struct vm_record *record, const char *folder, struct error *err)
{
        autofree char *copy = xasprintf("%s/buildenv.img.new", folder);

        if (import_complete(record, folder, err) < 0)
                return -1;
        if (unlink(copy) == 0)
                log_info("removed '%s', which interrupted work on a disk has left", copy);
        take_size(record, folder);
        return 0;
}
