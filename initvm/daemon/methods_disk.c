/* SPDX-License-Identifier: MIT */
/* The methods that work on the disk of a VM that does not run: each is one of org.initvm.image, which checks the parameters.  One
 * of them knows how to do it while the VM runs, too. */
#include "daemon/disk_grow.h"
#include "daemon/manager.h"
#include "daemon/methods_private.h"
#include "daemon/vm_disk.h"

#include <json-c/json.h>
#include <stdlib.h>

struct work {
        struct call *call;
        struct vm_disk *disk;
};

static void on_progress(void *userdata, struct json_object *owned_progress)
{
        struct work *w = userdata;
        struct json_object *o = json_new();

        json_add(o, "progress", owned_progress);
        call_progress(w->call, o);
}

static void on_done(void *userdata, struct json_object *result, const struct error *err)
{
        struct work *w = userdata;
        struct json_object *o;

        call_on_cancel(w->call, NULL, NULL);
        if (err) {
                call_fail(w->call, err);
        } else {
                o = json_new();
                json_add(o, "disk", json_object_get(result));
                call_reply(w->call, o);
        }
        free(w);
}

static void on_cancel(void *userdata)
{
        struct work *w = userdata;

        vm_disk_cancel(w->disk);
}

static int begin(struct call *call, struct json_object *parameters, struct daemon *d, const struct vm_disk_options *options,
                 struct error *err)
{
        const char *name = json_get_string(parameters, "name", NULL);
        struct json_object *own;
        struct work *w;
        struct vm *vm;

        if (!name)
                return error_set(err, ERR_INVALID, "parameters: 'name' is missing");
        vm = manager_find(d->manager, name, err);
        if (!vm)
                return -1;
        own = json_new();
        json_object_object_foreach (parameters, key, value) {
                if (!streq(key, "name"))
                        json_add(own, key, json_object_get(value));
        }
        w = xcalloc(1, sizeof(*w));
        w->call = call;
        w->disk = vm_disk_start(vm, options, own, on_progress, on_done, w, w, err);
        if (!w->disk) {
                free(w);
                return -1;
        }
        call_on_cancel(call, on_cancel, w);
        return 0;
}

/* While the VM runs. */
static int grow_disk(struct call *call, struct vm *vm, struct daemon *d, uint64_t size, struct error *err)
{
        struct work *w = xcalloc(1, sizeof(*w));

        w->call = call;
        if (disk_grow(vm, d, size, on_done, w, err) == 0)
                return 0;
        free(w);
        return -1;
}

int methods_disk_info(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "Info", .doing = "having its disk looked at", .appliance = true};

        return begin(call, parameters, userdata, &options, err);
}

int methods_check_disk(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "Check", .doing = "having its disk checked", .appliance = true};

        return begin(call, parameters, userdata, &options, err);
}

int methods_resize_disk(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "Resize", .doing = "having its disk resized", .appliance = true};
        struct vm *vm = manager_find(((struct daemon *)userdata)->manager, json_get_string(parameters, "name", ""), NULL);

        if (vm && vm_active(vm) && !vm_busy(vm, NULL))
                return grow_disk(call, vm, userdata, json_get_u64(parameters, "size", 0), err);
        return begin(call, parameters, userdata, &options, err);
}

int methods_compact_disk(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {
                .method = "Compact", .doing = "having its disk compacted", .appliance = true};

        return begin(call, parameters, userdata, &options, err);
}

int methods_list_files(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {
                .method = "List", .doing = "having its disk looked into", .appliance = true};

        return begin(call, parameters, userdata, &options, err);
}

int methods_read_files(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "Read", .doing = "having its disk read", .appliance = true};

        return begin(call, parameters, userdata, &options, err);
}

int methods_write_files(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {
                .method = "Write", .doing = "having its disk written to", .appliance = true};

        return begin(call, parameters, userdata, &options, err);
}

int methods_export_disk(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "Export", .doing = "having its disk exported"};

        return begin(call, parameters, userdata, &options, err);
}

int methods_import_disk(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "Import", .doing = "having a disk imported", .appliance = true};

        return begin(call, parameters, userdata, &options, err);
}

int methods_list_snapshots(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "ListSnapshots", .doing = "having its disk looked at"};

        return begin(call, parameters, userdata, &options, err);
}

int methods_create_snapshot(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "CreateSnapshot", .doing = "having a snapshot made"};

        return begin(call, parameters, userdata, &options, err);
}

int methods_restore_snapshot(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "RestoreSnapshot", .doing = "being restored from a snapshot"};

        return begin(call, parameters, userdata, &options, err);
}

int methods_remove_snapshot(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "RemoveSnapshot", .doing = "having a snapshot removed"};

        return begin(call, parameters, userdata, &options, err);
}
