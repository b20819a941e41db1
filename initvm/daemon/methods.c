/* SPDX-License-Identifier: MIT */
/* Each method: read its parameters strictly, begin the work, answer when it has ended. */
#include "daemon/methods.h"

#include "base/embed.h"
#include "base/log.h"
#include "daemon/manager.h"
#include "daemon/methods_private.h"
#include "daemon/progress.h"
#include "daemon/relay.h"
#include "provision/image.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int methods_read(struct json_object *parameters, const struct json_field *fields, size_t n, struct error *err)
{
        autojson struct json_object *empty = parameters ? NULL : json_new();

        if (json_read(parameters ? parameters : empty, fields, n, err) < 0)
                return error_prefix(err, "parameters");
        return 0;
}

static int get_status(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        struct json_object *o;
        char *uri;

        if (methods_read(parameters, NULL, 0, err) < 0)
                return -1;
        o = json_new();
        uri = virConnectGetURI(d->libvirt);
        json_add_string(o, "version", INITVM_VERSION);
        json_add_u64(o, "pid", (uint64_t)getpid());
        json_add_u64(o, "uptime", now_ms() - d->started);
        json_add_u64(o, "memory", methods_resident_bytes());
        json_add_u64(o, "clients", server_clients(d->server));
        json_add_string(o, "connection", uri);
        json_add_bool(o, "connected", virConnectIsAlive(d->libvirt) == 1);
        json_add_string(o, "home", d->paths.state);
        json_add_string(o, "socket", d->paths.socket);
        json_add_string(o, "log", d->paths.log);
        json_add(o, "recovered", json_from_strv(d->recovered));
        free(uri);
        call_reply(call, o);
        return 0;
}

static int stop_daemon(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;

        if (methods_read(parameters, NULL, 0, err) < 0)
                return -1;
        log_info("asked to stop");
        call_reply(call, NULL);
        d->quit = true;
        return 0;
}

static int list_images(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        struct image_list list;
        const struct image *preferred;
        struct json_object *o, *array;

        if (methods_read(parameters, NULL, 0, err) < 0 || image_list_load(&list, &d->paths, err) < 0)
                return -1;
        preferred = image_list_default(&list);
        array = json_object_new_array();
        for (size_t i = 0; i < list.n; i++) {
                const struct image *image = list.images[i];
                struct json_object *one = json_new();
                json_add_string(one, "name", image->name);
                json_add_string(one, "description", image->description);
                json_add_string(one, "suite", image->suite);
                json_add_string(one, "architecture", image->architecture);
                json_add_bool(one, "default", image == preferred);
                json_add_string(one, "path", image->path);
                json_object_array_add(array, one);
        }
        o = json_new();
        json_add(o, "images", array);
        json_add(o, "warnings", json_from_strv(list.warnings));
        image_list_done(&list);
        call_reply(call, o);
        return 0;
}

static void on_listed(void *userdata, struct json_object *owned_array)
{
        struct json_object *o = json_new();

        json_add(o, "vms", owned_array);
        call_reply(userdata, o);
}

static int list(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;

        if (methods_read(parameters, NULL, 0, err) < 0)
                return -1;
        manager_describe(d->manager, NULL, on_listed, call);
        return 0;
}

static int status(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name;
        const struct json_field fields[] = {{"name", JSON_FIELD_STRING, JSON_REQUIRED, &name}};

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0 ||
            (!manager_creating(d->manager, name) && !manager_find(d->manager, name, err)))
                return -1;
        manager_describe(d->manager, name, methods_reply_vm, call);
        return 0;
}

static int binfmt(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name;
        const struct json_field fields[] = {{"name", JSON_FIELD_STRING, JSON_REQUIRED, &name}};
        struct json_object *o;
        struct vm *vm;

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        vm = methods_running_vm(d, name, err);
        if (!vm)
                return -1;
        if (!vm_binfmt(vm))
                return error_set(err, ERR_STATE,
                                 "the agent in VM '%s' has not told yet what it can execute; 'initvm -n %s binfmt' asks it", name,
                                 name);
        o = json_new();
        json_add(o, "binfmt", json_object_get(vm_binfmt(vm)));
        call_reply(call, o);
        return 0;
}

static void on_destroyed(void *userdata, bool removed, const struct error *err)
{
        struct json_object *o;

        if (err) {
                call_fail(userdata, err);
                return;
        }
        o = json_new();
        json_add_bool(o, "removed", removed);
        call_reply(userdata, o);
}

static int destroy(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name;
        const struct json_field fields[] = {{"name", JSON_FIELD_STRING, JSON_REQUIRED, &name}};

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (!vm_name_valid(name))
                return error_set(err, ERR_INVALID, "'%s' is not a name for a VM", name);
        manager_destroy(d->manager, name, on_destroyed, call);
        return 0;
}

/* One that is about to run will do: whoever wants something of it waits. */
struct vm *methods_running_vm(struct daemon *d, const char *name, struct error *err)
{
        struct vm *vm = manager_find(d->manager, name, err);

        if (vm && !vm_active(vm) && !vm_starting(vm)) {
                error_set(err, ERR_STATE, "VM '%s' is not running; start it with 'initvm -n %s start'", name, name);
                return NULL;
        }
        return vm;
}

static int exec(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name, *cwd = NULL, *user = NULL;
        struct json_object *argv, *environment = NULL, *terminal = NULL;
        struct json_object *forwarded;
        bool login = false;
        struct vm *vm;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"argv", JSON_FIELD_STRINGS, JSON_REQUIRED, &argv},
                {"cwd", JSON_FIELD_STRING, 0, &cwd},
                {"environment", JSON_FIELD_STRINGS, 0, &environment},
                {"user", JSON_FIELD_STRING, 0, &user},
                {"terminal", JSON_FIELD_OBJECT, 0, &terminal},
                {"login", JSON_FIELD_BOOL, 0, &login},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        vm = methods_running_vm(d, name, err);
        if (!vm)
                return -1;
        forwarded = json_new();
        json_add(forwarded, "argv", json_object_get(argv));
        json_add_string(forwarded, "cwd", cwd);
        json_add(forwarded, "environment", json_object_get(environment));
        json_add_string(forwarded, "user", user);
        json_add(forwarded, "terminal", json_object_get(terminal));
        if (login)
                json_add_bool(forwarded, "login", true);
        relay_start(d->loop, vm, call, "Exec", forwarded);
        return 0;
}

/* An attach that waits for the console. */
struct attaching {
        struct vm *vm;
        struct call *call;
        struct vm_waiter *waiter;
        bool read_only, force;
};

static void on_console(void *userdata, const struct error *err)
{
        autofree struct attaching *a = userdata;
        struct console *console = vm_console(a->vm);
        struct json_object *reply;
        struct conn *conn;

        call_on_cancel(a->call, NULL, NULL);
        if (err) {
                call_fail(a->call, err);
                return;
        }
        /* Without --force a second viewer watches; the reply tells it so. */
        if (!a->force && console_has_writer(console))
                a->read_only = true;
        reply = json_new();
        json_add_bool(reply, "writer", !a->read_only);
        conn = call_upgrade(a->call, reply);
        if (conn)
                console_attach(console, conn, !a->read_only);
}

static void on_attach_cancelled(void *userdata)
{
        autofree struct attaching *a = userdata;
        struct error err = ERROR_INIT;

        error_set(&err, ERR_CANCELLED, "cancelled");
        vm_waiter_free(a->waiter);
        call_on_cancel(a->call, NULL, NULL);
        call_fail(a->call, &err);
}

static int attach(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct daemon *d = userdata;
        const char *name;
        bool read_only = false, force = false;
        struct attaching *a;
        struct vm_waiter *waiter;
        struct vm *vm;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, JSON_REQUIRED, &name},
                {"readOnly", JSON_FIELD_BOOL, 0, &read_only},
                {"force", JSON_FIELD_BOOL, 0, &force},
        };

        if (methods_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        vm = methods_running_vm(d, name, err);
        if (!vm)
                return -1;
        if (vm_active(vm) && !vm_console(vm))
                return error_set(err, ERR_STATE, "the console of VM '%s' cannot be opened; see 'initvm daemon log'", name);
        a = xcalloc(1, sizeof(*a));
        *a = (struct attaching){.vm = vm, .call = call, .read_only = read_only, .force = force};
        call_on_cancel(call, on_attach_cancelled, a);
        waiter = vm_when_console(vm, on_console, a);
        if (waiter)
                a->waiter = waiter; /* else a is gone already */
        return 0;
}

static const struct server_method methods[] = {
        {"org.initvm.GetStatus", false, false, get_status},
        {"org.initvm.StopDaemon", false, false, stop_daemon},
        {"org.initvm.ListImages", false, false, list_images},
        {"org.initvm.Binfmt", false, false, binfmt},
        {"org.initvm.Create", true, false, methods_create},
        {"org.initvm.Clone", true, false, methods_clone},
        {"org.initvm.Start", false, false, methods_start},
        {"org.initvm.Stop", false, false, methods_stop},
        {"org.initvm.Destroy", false, false, destroy},
        {"org.initvm.List", false, false, list},
        {"org.initvm.Status", false, false, status},
        {"org.initvm.Exec", false, true, exec},
        {"org.initvm.Attach", false, true, attach},
        {"org.initvm.Connect", false, true, methods_connect},
        {"org.initvm.Listen", false, true, methods_listen},
        {"org.initvm.Accept", false, true, methods_accept},
        {"org.initvm.WaitReady", false, false, methods_wait_ready},
        {"org.initvm.PrepareSsh", false, false, methods_prepare_ssh},
        {"org.initvm.SubmitJob", false, false, methods_submit_job},
        {"org.initvm.ListJobs", false, false, methods_list_jobs},
        {"org.initvm.JobStatus", false, false, methods_job_status},
        {"org.initvm.WatchJobs", true, false, methods_watch_jobs},
        {"org.initvm.WaitJob", false, false, methods_wait_job},
        {"org.initvm.CancelJob", false, false, methods_cancel_job},
        {"org.initvm.RetryJob", false, false, methods_retry_job},
        {"org.initvm.RemoveJob", false, false, methods_remove_job},
        {"org.initvm.PruneJobs", false, false, methods_prune_jobs},
        {"org.initvm.LimitJobs", false, false, methods_limit_jobs},
        {"org.initvm.DiskInfo", true, false, methods_disk_info},
        {"org.initvm.CheckDisk", true, false, methods_check_disk},
        {"org.initvm.ResizeDisk", true, false, methods_resize_disk},
        {"org.initvm.CompactDisk", true, false, methods_compact_disk},
        {"org.initvm.ListDiskFiles", true, false, methods_list_files},
        {"org.initvm.ReadDiskFiles", true, false, methods_read_files},
        {"org.initvm.WriteDiskFiles", true, false, methods_write_files},
        {"org.initvm.ExportDisk", true, false, methods_export_disk},
        {"org.initvm.ImportDisk", true, false, methods_import_disk},
        {"org.initvm.ListSnapshots", true, false, methods_list_snapshots},
        {"org.initvm.CreateSnapshot", true, false, methods_create_snapshot},
        {"org.initvm.RestoreSnapshot", true, false, methods_restore_snapshot},
        {"org.initvm.RemoveSnapshot", true, false, methods_remove_snapshot},
};

/* What org.varlink.service tells to whoever asks. */
EMBED(methods_interface_text, "wire/org.initvm.varlink");
extern const char methods_interface_text[];

const struct server_interface methods_interface = {
        .name = "org.initvm",
        .description = methods_interface_text,
        .methods = methods,
        .n_methods = ARRAY_SIZE(methods),
};
