/* SPDX-License-Identifier: MIT */
#include "daemon/clone.h"

#include "base/file.h"
#include "base/log.h"
#include "daemon/create.h"
#include "daemon/snapshot_boot.h"
#include "daemon/ssh_identity.h"
#include "daemon/vm_boot.h"
#include "daemon/vm_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct clone {
        struct daemon *daemon;
        struct vm *source;
        struct vm_record record;
        char *folder, *target; /* as of a create */
        struct vm_disk *disk;
        clone_done_fn done;
        void *userdata;
        struct error err;
};

static void clone_free(struct clone *c)
{
        vm_record_done(&c->record);
        free(c->folder);
        free(c->target);
        free(c);
}

static char *copied(const char *text)
{
        return text ? xstrdup(text) : NULL;
}

/* What is the source's is taken over, but for what makes it that machine. */
static int fill_record(struct clone *c, const char *name, struct error *err)
{
        const struct vm_record *from = vm_record(c->source);
        struct vm_record *r = &c->record;

        *r = *from;
        r->name = xstrdup(name);
        r->hostname = xstrdup(name);
        r->image = xstrdup(from->image);
        r->suite = xstrdup(from->suite);
        r->architecture = xstrdup(from->architecture);
        r->command_line = xstrdup(from->command_line);
        r->acceleration = xstrdup(from->acceleration);
        r->channel = copied(from->channel);
        r->boot_id = NULL;
        r->boot_folder = NULL;
        r->reason = NULL;
        r->started = 0;
        r->ssh_port = 0; /* only one can have it */
        r->created = (uint64_t)time(NULL);
        r->uuid = file_read("/proc/sys/kernel/random/uuid", 64, NULL, err);
        if (!r->uuid)
                return -1;
        r->uuid[strcspn(r->uuid, "\n")] = '\0';
        return 0;
}

/* Not a link: QEMU's files change their owner while it runs. */
static int copy_file(const char *from, const char *to, struct error *err)
{
        autoclose int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        struct stat st;
        off_t at = 0;

        if (in < 0 || out < 0 || fstat(in, &st) < 0)
                return error_errno(err, errno, "cannot copy '%s'", from);
        while (at < st.st_size)
                if (sendfile(out, in, &at, (size_t)(st.st_size - at)) <= 0)
                        return error_errno(err, errno, "cannot copy '%s'", from);
        return 0;
}

/* Last: they may have changed with the disk, when the work on it completed a restore. */
static int copy_boot(struct clone *c, struct error *err)
{
        autofree char *boot = boot_folder(vm_record(c->source), vm_folder(c->source));
        autofree char *kernel = xasprintf("%s/kernel", boot), *initrd = xasprintf("%s/initrd", boot);
        autofree char *new_kernel = xasprintf("%s/kernel", c->folder), *new_initrd = xasprintf("%s/initrd", c->folder);

        c->record.boot_id = copied(vm_record(c->source)->boot_id);
        c->record.size = vm_record(c->source)->size;
        return copy_file(kernel, new_kernel, err) < 0 || copy_file(initrd, new_initrd, err) < 0 ? -1 : 0;
}

static int finish(struct clone *c, struct json_object *result, struct error *err)
{
        autofree char *ssh = xasprintf("%s/ssh", c->folder);

        if (json_get_bool(result, "ssh", false) ? ssh_identity_pin(c->folder, c->record.name, err) < 0
                                                : tree_remove(ssh, err) < 0)
                return -1;
        if (copy_boot(c, err) < 0 || snapshot_boot_keep(&c->record, c->folder, SNAPSHOT_CREATED, err) < 0 ||
            vm_record_save(&c->record, c->folder, err) < 0)
                return -1;
        return rename(c->folder, c->target) == 0 ? 0 : error_errno(err, errno, "cannot move the finished VM to '%s'", c->target);
}

/* In a worker. */
static void remove_remains(void *userdata)
{
        struct clone *c = userdata;
        struct error err = ERROR_INIT;

        if (create_remove_remains(c->folder, &err) < 0)
                log_error("%s", err.message);
}

static void on_removed(void *userdata)
{
        struct clone *c = userdata;

        c->done(c->userdata, NULL, &c->err);
        clone_free(c);
}

static void on_cloned(void *userdata, struct json_object *result, const struct error *err)
{
        struct clone *c = userdata;

        c->disk = NULL;
        if (err)
                c->err = *err;
        else if (finish(c, result, &c->err) == 0) {
                c->done(c->userdata, c->target, NULL);
                clone_free(c);
                return;
        }
        worker_run(c->daemon->worker, remove_remains, on_removed, c);
}

struct clone *clone_start(struct daemon *daemon, struct vm *source, const char *name, vm_progress_fn progress, clone_done_fn done,
                          void *userdata, struct error *err)
{
        static const struct vm_disk_options options = {.method = "Clone", .doing = "being cloned", .appliance = true};
        struct clone *c = xcalloc(1, sizeof(*c));
        autofree char *image = NULL;
        struct json_object *parameters;

        c->daemon = daemon;
        c->source = source;
        c->done = done;
        c->userdata = userdata;
        c->folder = xasprintf("%s/creating/%s", daemon->paths.state, name);
        c->target = xasprintf("%s/vms/%s", daemon->paths.state, name);
        if (fill_record(c, name, err) < 0 || create_remove_remains(c->folder, err) < 0 ||
            dir_make(c->folder, geteuid() == 0 ? 0711 : 0700, err) < 0) {
                clone_free(c);
                return NULL;
        }
        image = xasprintf("%s/buildenv.img", c->folder);
        parameters = json_new();
        json_add_string(parameters, "file", image);
        json_add_string(parameters, "hostname", name);
        c->disk = vm_disk_start(source, &options, parameters, progress, on_cloned, c, userdata, err);
        if (!c->disk) {
                create_remove_remains(c->folder, NULL);
                clone_free(c);
                return NULL;
        }
        return c;
}

void clone_cancel(struct clone *c)
{
        if (c->disk) /* else it is over, and told in a moment */
                vm_disk_cancel(c->disk);
}

struct json_object *clone_describe(const struct clone *c)
{
        return vm_describe_record(&c->record, c->folder, "creating");
}
