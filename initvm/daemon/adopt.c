/* SPDX-License-Identifier: MIT */
#include "daemon/adopt.h"

#include "base/boot_files.h"
#include "base/file.h"
#include "base/paths.h"
#include "daemon/ssh_identity.h"

#include <stdlib.h>
#include <unistd.h>

struct adoption {
        struct daemon *daemon;
        const struct vm_record *record;
        char *from, *folder;
        struct task_child *child; /* NULL: not started yet */
        bool cancelled;
        bool decided; /* whether the appliance uses KVM, or why that cannot be said */
        bool waiting; /* for that, after adoption_start() has returned */
        bool kvm;
        struct error accel_error;
        task_child_progress_fn progress;
        task_child_done_fn done;
        void *userdata;
};

static void adoption_free(struct adoption *a)
{
        task_child_free(a->child);
        free(a->from);
        free(a->folder);
        free(a);
}

static void finish(struct adoption *a, struct json_object *result, const struct error *err)
{
        struct error copy = err ? *err : (struct error)ERROR_INIT;
        task_child_done_fn done = a->done;
        void *userdata = a->userdata;

        adoption_free(a);
        done(userdata, result, err ? &copy : NULL);
}

static void on_child_done(void *userdata, struct json_object *result, const struct error *err)
{
        finish(userdata, result, err);
}

static void on_progress(void *userdata, struct json_object *owned_progress)
{
        struct adoption *a = userdata;

        a->progress(a->userdata, owned_progress);
}

static int start_child(struct adoption *a, bool kvm, struct error *err)
{
        const struct task_child_options child = {.program = "initvm-image",
                                                 .method = "org.initvm.image.Adopt",
                                                 .folder = a->folder,
                                                 .log = "provision.log",
                                                 .held_fd = -1};
        autofree char *image = xasprintf("%s/buildenv.img", a->folder), *agent = paths_program("initvm-agent", err);
        struct json_object *parameters;

        if (!agent)
                return -1;
        parameters = json_new();
        json_add_string(parameters, "image", a->from);
        json_add_string(parameters, "file", image);
        json_add_string(parameters, "hostname", a->record->name);
        json_add_string(parameters, "architecture", a->record->architecture);
        json_add_string(parameters, "agent", agent);
        json_add_u64(parameters, "size", a->record->size);
        json_add_bool(parameters, "kvm", kvm);
        a->child = task_child_start(a->daemon->loop, &child, parameters, on_progress, on_child_done, a, err);
        return a->child ? 0 : -1;
}

/* At once or later. */
static void on_accel(void *userdata, bool kvm, const char *why_not, const struct error *err)
{
        struct adoption *a = userdata;
        struct error failure = err ? *err : (struct error)ERROR_INIT;

        (void)why_not; /* said at the first boot, for the VM itself */
        a->decided = true;
        a->kvm = kvm;
        a->accel_error = failure;
        if (!a->waiting)
                return;
        if (!err && a->cancelled)
                error_set(&failure, ERR_CANCELLED, "cancelled");
        if (failure.code != ERR_NONE || start_child(a, kvm, &failure) < 0)
                finish(a, NULL, &failure);
}

/* The kernel that the appliance boots is the host's. Owned; NULL when KVM cannot be tried with it: emulation always works. */
static char *host_kernel(void)
{
        autofree char *release = boot_newest("/boot", false, NULL);
        char *kernel = release ? xasprintf("/boot/vmlinuz-%s", release) : NULL;

        if (kernel && access(kernel, R_OK) < 0)
                free(take_ptr(kernel));
        return kernel;
}

struct adoption *adoption_start(struct daemon *daemon, const struct adoption_options *options, task_child_progress_fn progress,
                                task_child_done_fn done, void *userdata, struct error *err)
{
        autofree char *kernel = host_kernel();
        struct adoption *a = xcalloc(1, sizeof(*a));

        *a = (struct adoption){.daemon = daemon,
                               .record = options->record,
                               .from = xstrdup(options->from),
                               .folder = xstrdup(options->folder),
                               .decided = kernel == NULL,
                               .progress = progress,
                               .done = done,
                               .userdata = userdata};
        if (kernel)
                accel_decide(daemon->accel, options->record->acceleration, kernel, on_accel, a);
        a->waiting = !a->decided;
        if (a->decided && (a->accel_error.code != ERR_NONE || start_child(a, a->kvm, &a->accel_error) < 0)) {
                *err = a->accel_error;
                adoption_free(a);
                return NULL;
        }
        return a;
}

void adoption_cancel(struct adoption *a)
{
        a->cancelled = true;
        if (a->child)
                task_child_cancel(a->child);
}

int adoption_take(struct vm_record *r, const char *folder, struct json_object *result, struct error *err)
{
        autofree char *ssh = xasprintf("%s/ssh", folder);

        free(r->suite);
        r->suite = xstrdup(json_get_string(result, "codename", "unknown"));
        r->size = json_get_u64(result, "virtual", 0);
        if (!json_get_bool(result, "ssh", false))
                return tree_remove(ssh, err);
        return ssh_identity_pin(folder, r->name, err);
}
