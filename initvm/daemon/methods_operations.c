/* SPDX-License-Identifier: MIT */
#include "base/file.h"
#include "daemon/manager.h"
#include "daemon/methods_private.h"
#include "daemon/progress.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

/* Waits that a caller may ask for: up to a day, in milliseconds. */
#define TIMEOUT_MAX_MS (24ull * 3600 * 1000)

/* A long call: progress goes to the caller until the answer. */
struct operation {
        struct daemon *daemon;
        struct call *call;
        char *name;
        struct creation *creation;
};

uint64_t methods_resident_bytes(void)
{
        autofree char *text = file_read("/proc/self/statm", 256, NULL, NULL);
        unsigned long long size, resident;

        if (!text || sscanf(text, "%llu %llu", &size, &resident) != 2)
                return 0;
        return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void methods_reply_vm(void *call, struct json_object *owned_array)
{
        autojson struct json_object *array = owned_array;
        struct error err = ERROR_INIT;
        struct json_object *o;

        if (json_object_array_length(array) == 0) {
                error_set(&err, ERR_NOT_FOUND, "the VM was destroyed meanwhile");
                call_fail(call, &err);
                return;
        }
        o = json_new();
        json_add(o, "vm", json_object_get(json_object_array_get_idx(array, 0)));
        call_reply(call, o);
}

static struct operation *operation_new(struct daemon *d, struct call *call, const char *name)
{
        struct operation *op = xcalloc(1, sizeof(*op));

        op->daemon = d;
        op->call = call;
        op->name = xstrdup(name);
        return op;
}

static void operation_free(struct operation *op)
{
        free(op->name);
        free(op);
}

static void on_progress(void *userdata, struct json_object *owned_progress)
{
        struct operation *op = userdata;
        struct json_object *o = json_new();

        json_add(o, "progress", owned_progress);
        call_progress(op->call, o);
}

static void on_done(void *userdata, const struct error *err)
{
        struct operation *op = userdata;

        if (err)
                call_fail(op->call, err);
        else
                manager_describe(op->daemon->manager, op->name, methods_reply_vm, op->call);
        operation_free(op);
}

static void on_created(void *userdata, struct vm *vm, const struct error *err)
{
        struct operation *op = userdata;

        (void)vm;
        call_on_cancel(op->call, NULL, NULL);
        on_done(op, err);
}

static void on_cancel(void *userdata)
{
        struct operation *op = userdata;

        manager_creation_cancel(op->creation);
}

int methods_create(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        struct create_options o = {.ssh_port = UINT64_MAX};
        struct operation *op;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &o.name},
                {"from", JSON_FIELD_STRING, 0, &o.from},
                {"image", JSON_FIELD_STRING, 0, &o.image},
                {"preseed", JSON_FIELD_STRING, 0, &o.preseed},
                {"size", JSON_FIELD_U64, 0, &o.size},
                {"memory", JSON_FIELD_U64, 0, &o.memory},
                {"cpus", JSON_FIELD_U64, 0, &o.cpus},
                {"mirror", JSON_FIELD_STRING, 0, &o.mirror},
                {"method", JSON_FIELD_STRING, 0, &o.method},
                {"proxy", JSON_FIELD_STRING, 0, &o.proxy},
                {"keep", JSON_FIELD_BOOL, 0, &o.keep},
                {"show", JSON_FIELD_BOOL, 0, &o.show},
                {"acceleration", JSON_FIELD_STRING, 0, &o.acceleration},
                {"channel", JSON_FIELD_STRING, 0, &o.channel},
                {"sshPort", JSON_FIELD_U64, 0, &o.ssh_port},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        o.ssh_forward = o.ssh_port != UINT64_MAX; /* it was said */
        o.ssh_port = o.ssh_forward ? o.ssh_port : 0;
        op = operation_new(d, call, o.name);
        op->creation = manager_create(d->manager, &o, on_progress, on_created, op, err);
        if (!op->creation) {
                operation_free(op);
                return -1;
        }
        for (char **s = d->recovered; s && *s; s++)
                on_progress(op, progress_notice(*s));
        strv_free(take_ptr(d->recovered)); /* said once */
        call_on_cancel(call, on_cancel, op);
        return 0;
}

int methods_clone(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name, *target;
        struct operation *op;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"target", JSON_FIELD_STRING, JSON_REQUIRED, &target},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        op = operation_new(d, call, target);
        op->creation = manager_clone(d->manager, name, target, on_progress, on_created, op, err);
        if (!op->creation) {
                operation_free(op);
                return -1;
        }
        call_on_cancel(call, on_cancel, op);
        return 0;
}

static int check_timeout(uint64_t timeout, struct error *err)
{
        if (timeout > TIMEOUT_MAX_MS)
                return error_set(err, ERR_INVALID, "a timeout of more than a day");
        return 0;
}

int methods_start(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name;
        struct vm_start_options o = {0};
        struct vm *vm;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"timeout", JSON_FIELD_U64, 0, &o.timeout_ms},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0 || check_timeout(o.timeout_ms, err) < 0)
                return -1;
        vm = manager_find(d->manager, name, err);
        if (!vm)
                return -1;
        vm_start(vm, &o, on_progress, on_done, operation_new(d, call, name));
        return 0;
}

int methods_stop(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name;
        struct vm_stop_options o = {0};
        struct vm *vm;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"force", JSON_FIELD_BOOL, 0, &o.force},
                {"timeout", JSON_FIELD_U64, 0, &o.timeout_ms},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0 || check_timeout(o.timeout_ms, err) < 0)
                return -1;
        vm = manager_find(d->manager, name, err);
        if (!vm)
                return -1;
        vm_stop(vm, &o, on_progress, on_done, operation_new(d, call, name));
        return 0;
}
