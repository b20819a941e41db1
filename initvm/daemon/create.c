/* SPDX-License-Identifier: MIT */
#include "daemon/create.h"

#include "base/file.h"
#include "base/log.h"
#include "daemon/adopt.h"
#include "daemon/create_child.h"
#include "daemon/create_options.h"
#include "daemon/first_boot.h"
#include "daemon/guest_exec.h"
#include "daemon/installation.h"
#include "daemon/progress.h"
#include "daemon/snapshot_boot.h"
#include "daemon/ssh_identity.h"
#include "daemon/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One finish step (early_command, boot loader, late_command) in the first boot. A late_command may install a lot. */
#define STEP_TIMEOUT_MS (60 * 60 * 1000)

/* What a system that we did not make may take to boot: an installed one by its boot loader, and with none of the kernel's options
 * that make emulation bearable (machine.c); an adopted one with all that is enabled in it. */
#define FOREIGN_BOOT_TIMEOUT_MS (15 * 60 * 1000)

#define FIRST_BOOT_STAGE "first-boot"

struct create {
        struct daemon *daemon;
        struct vm_record record;
        char *folder; /* <state>/creating/NAME */
        char *target; /* <state>/vms/NAME */
        char *failed; /* <state>/failed/NAME */
        char *from;   /* the image that is adopted, or NULL */
        char *image_path, *preseed, *mirror, *proxy;
        bool install; /* the method */
        bool keep, show;
        create_progress_fn progress;
        create_done_fn done;
        void *userdata;

        struct task_child *child;  /* while provisioning */
        struct adoption *adoption; /* ... or adopting */
        struct task_child *keeper; /* makes the snapshot for reset */
        struct vm *vm;             /* from the installation or the first boot on */
        struct installation *installation;
        int command_line_fd;        /* what the installed system says of its own */
        struct json_object *result; /* of the child */
        size_t next_step;
        struct guest_exec *step;
        struct ssh_preparation *ssh; /* the last step, of a VM that is reached by SSH */
        int log_fd;
        uint64_t stage_started;
        bool cancelled;
        bool ending;  /* failed: only the cleaning up is left */
        bool killing; /* ... and has begun */
        bool kept;    /* ... and has left all that was made in `failed` */
        struct error err;
};

static void create_free(struct create *c)
{
        vm_free(c->vm);
        installation_free(c->installation);
        cleanup_close(&c->command_line_fd);
        vm_record_done(&c->record);
        json_object_put(c->result);
        if (c->log_fd >= 0)
                close(c->log_fd);
        free(c->folder);
        free(c->target);
        free(c->from);
        free(c->image_path);
        free(c->preseed);
        free(c->mirror);
        free(c->proxy);
        free(c->failed);
        free(c);
}

static void report(struct create *c, struct json_object *owned_progress)
{
        c->progress(c->userdata, owned_progress);
}

static void stage(struct create *c, const char *name, const char *state, const char *text)
{
        if (streq(state, "begin"))
                c->stage_started = now_ms();
        report(c, progress_stage(name, state, text, now_ms() - c->stage_started));
}

/* In a worker: nothing else may stay. */
static void remove_remains(void *userdata)
{
        struct create *c = userdata;
        struct error err = ERROR_INIT;

        if (!c->cancelled && (c->keep || c->installation)) {
                if (create_keep_remains(c->folder, c->failed, c->keep, &err) < 0)
                        log_error("%s", err.message);
                else
                        c->kept = c->keep;
        }
        if (create_remove_remains(c->folder, &err) < 0)
                log_error("%s", err.message);
}

static void on_removed(void *userdata)
{
        struct create *c = userdata;

        if (c->cancelled)
                error_set(&c->err, ERR_CANCELLED, "cancelled; nothing was left behind");
        if (c->kept) {
                autofree char *text = xasprintf("what was made so far is kept in '%s'", c->failed);

                report(c, progress_notice(text));
        }
        c->done(c->userdata, NULL, &c->err);
        create_free(c);
}

static void on_killed(void *userdata, const struct error *err)
{
        struct create *c = userdata;

        if (err)
                log_error("%s", err->message);
        vm_free(take_ptr(c->vm));
        worker_run(c->daemon->worker, remove_remains, on_removed, c);
}

/* Ends the VM of a failed first boot. What is under way and cannot be ended is waited for, and calls this again: libvirt that
 * creates or removes its domain (on_started(), on_installed(), on_shut_down()), and an adoption (on_adopted()). */
static void end_vm(struct create *c)
{
        static const struct vm_stop_options kill_it = {.force = true};

        if (c->killing || c->adoption)
                return;
        if (c->vm && vm_active(c->vm)) {
                c->killing = true;
                vm_stop(c->vm, &kill_it, NULL, on_killed, c);
        } else if (!c->vm || !vm_busy(c->vm, NULL)) {
                c->killing = true;
                on_killed(c, NULL);
        } else {
                vm_abandon_start(c->vm);
        }
}

/* The one way out of a create that did not make it: end what runs, remove everything, tell. */
static void fail(struct create *c, const struct error *err)
{
        if (c->ending)
                return;
        c->ending = true;
        c->err = *err;
        task_child_free(take_ptr(c->child));
        if (c->adoption)
                adoption_cancel(c->adoption);
        task_child_free(take_ptr(c->keeper));
        guest_exec_cancel(take_ptr(c->step));
        if (c->installation)
                installation_cancel(c->installation);
        ssh_identity_prepare_cancel(take_ptr(c->ssh));
        end_vm(c);
}

static void on_vm_progress(void *userdata, struct json_object *owned_progress)
{
        report(userdata, owned_progress);
}

/* The record is complete, and the rename makes it a VM. */
static void finish(struct create *c)
{
        struct error err = ERROR_INIT;
        autofree char *vms = xasprintf("%s/vms", c->daemon->paths.state);

        free(take_ptr(c->record.reason));
        if (vm_record_save(&c->record, c->folder, &err) < 0 || dir_make(vms, geteuid() == 0 ? 0711 : 0700, &err) < 0) {
                fail(c, &err);
                return;
        }
        if (rename(c->folder, c->target) < 0) {
                error_errno(&err, errno, "cannot move the finished VM to '%s'", c->target);
                fail(c, &err);
                return;
        }
        stage(c, FIRST_BOOT_STAGE, "end", NULL);
        c->done(c->userdata, c->target, NULL);
        create_free(c);
}

static void on_kept(void *userdata, struct json_object *result, const struct error *err)
{
        struct create *c = userdata;

        (void)result;
        task_child_free(take_ptr(c->keeper));
        if (err) {
                struct error e = *err;

                error_prefix(&e, "the snapshot for 'initvm reset' cannot be made");
                fail(c, &e);
                return;
        }
        finish(c);
}

/* The guest is down: what 'initvm reset' goes back to is kept. That takes a tenth of a second, and is no stage of its own. */
static void keep(struct create *c)
{
        const struct task_child_options options = {.program = "initvm-image",
                                                   .method = "org.initvm.image.CreateSnapshot",
                                                   .folder = c->folder,
                                                   .log = "disk.log",
                                                   .held_fd = -1};
        autofree char *image = xasprintf("%s/buildenv.img", c->folder);
        struct json_object *parameters;
        struct error err = ERROR_INIT;

        if (first_boot_take_files(vm_record(c->vm), c->install, &c->record, c->folder, &err) < 0 ||
            snapshot_boot_keep(&c->record, c->folder, SNAPSHOT_CREATED, &err) < 0) {
                fail(c, &err);
                return;
        }
        parameters = json_new();
        json_add_string(parameters, "image", image);
        json_add_string(parameters, "snapshot", SNAPSHOT_CREATED);
        c->keeper = task_child_start(c->daemon->loop, &options, parameters, NULL, on_kept, c, &err);
        if (!c->keeper)
                fail(c, &err);
}

static void on_shut_down(void *userdata, const struct error *err)
{
        struct create *c = userdata;

        if (c->ending)
                end_vm(c);
        else if (err)
                fail(c, err);
        else
                keep(c);
}

static void run_next_step(struct create *c);

static void on_step_done(void *userdata, const struct error *err)
{
        struct create *c = userdata;

        c->step = NULL;
        if (err) {
                struct json_object *step = json_object_array_get_idx(json_get(c->result, "finish"), c->next_step - 1);
                struct error e = *err;
                error_prefix(&e, "%s failed", json_get_string(step, "text", "a step of the first boot"));
                fail(c, &e);
                return;
        }
        run_next_step(c);
}

static void shut_down(struct create *c)
{
        static const struct vm_stop_options ordinary = {0};

        stage(c, FIRST_BOOT_STAGE, "update", "shutting down");
        vm_stop(c->vm, &ordinary, on_vm_progress, on_shut_down, c);
}

static void on_ssh_prepared(void *userdata, const struct ssh_identity *identity, bool differs, const struct error *err)
{
        struct create *c = userdata;

        (void)identity;
        (void)differs;
        c->ssh = NULL;
        if (err)
                fail(c, err);
        else
                shut_down(c);
}

/* From now on the agent's port is not there: the key and the host's key have to be. */
static void prepare_ssh(struct create *c)
{
        stage(c, FIRST_BOOT_STAGE, "update", "preparing the SSH server");
        c->ssh = ssh_identity_prepare(c->daemon, c->vm, true, on_ssh_prepared, c);
}

static void on_command_line(void *userdata, const struct error *failed)
{
        struct create *c = userdata;
        struct error err = ERROR_INIT;

        c->step = NULL;
        free(take_ptr(c->record.command_line));
        if (!failed)
                c->record.command_line = first_boot_read_command_line(c->command_line_fd, &err);
        if (c->record.command_line)
                run_next_step(c);
        else
                fail(c, failed ? failed : &err);
}

/* Of an installed system nobody knows yet what its boot loader tells the kernel. */
static void read_command_line(struct create *c)
{
        char *argv[] = {(char *)"cat", (char *)"/proc/cmdline", NULL};
        struct error err = ERROR_INIT;

        c->command_line_fd = memfd_create("initvm-cmdline", MFD_CLOEXEC);
        if (c->command_line_fd < 0)
                error_errno(&err, errno, "cannot keep the new system's command line");
        else
                c->step = guest_exec_start(c->daemon->loop, vm_channel(c->vm), argv, c->command_line_fd, STEP_TIMEOUT_MS,
                                           on_command_line, c, &err);
        if (!c->step)
                fail(c, &err);
}

static void run_next_step(struct create *c)
{
        struct json_object *steps = json_get(c->result, "finish");
        struct json_object *step, *argv_json;
        struct error err = ERROR_INIT;
        autostrv char **argv = NULL;

        if (!steps || c->next_step >= json_object_array_length(steps)) {
                if (vm_record_by_ssh(&c->record))
                        prepare_ssh(c);
                else
                        shut_down(c);
                return;
        }
        step = json_object_array_get_idx(steps, c->next_step++);
        argv_json = json_get(step, "argv");
        stage(c, FIRST_BOOT_STAGE, "update", json_get_string(step, "text", ""));
        argv = json_to_strv(argv_json);
        c->step = guest_exec_start(c->daemon->loop, vm_channel(c->vm), argv, c->log_fd, STEP_TIMEOUT_MS, on_step_done, c, &err);
        if (!c->step)
                fail(c, &err);
}

static void on_started(void *userdata, const struct error *err)
{
        struct create *c = userdata;

        if (c->ending) {
                end_vm(c);
                return;
        }
        if (err) {
                struct error e = *err;
                error_prefix(&e, "the first boot failed");
                fail(c, &e);
                return;
        }
        if (c->install)
                read_command_line(c);
        else
                run_next_step(c);
}

static void begin_first_boot(struct create *c)
{
        autofree char *log = xasprintf("%s/provision.log", c->folder), *kernel = xasprintf("%s/installer/kernel", c->folder);
        const struct vm_start_options options = {.unsafe_writes = true,
                                                 .with_port = true,
                                                 .no_kvm_told = c->install,
                                                 .from_disk = c->install,
                                                 .probe_kernel = kernel,
                                                 .timeout_ms = c->install || c->from ? FOREIGN_BOOT_TIMEOUT_MS : 0};

        c->log_fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        stage(c, FIRST_BOOT_STAGE, "begin", "booting for the first time");
        vm_start(c->vm, &options, on_vm_progress, on_started, c);
}

static void on_installed(void *userdata, const struct error *err)
{
        struct create *c = userdata;

        if (c->ending)
                end_vm(c);
        else if (err)
                fail(c, err);
        else
                begin_first_boot(c);
}

static void begin_installation(struct create *c)
{
        const struct installation_options options = {
                .command_line = json_get_string(c->result, "commandLine", ""), .logs = c->failed, .show = c->show};

        c->installation = installation_start(c->vm, c->daemon, &options, on_vm_progress, on_installed, c);
}

/* From now on there is a VM. */
static void make_vm(struct create *c)
{
        struct error err = ERROR_INIT;

        c->record.hostname = xstrdup(json_get_string(c->result, "hostname", c->record.name));
        c->record.command_line = xstrdup(json_get_string(c->result, "commandLine", ""));
        if (vm_record_save(&c->record, c->folder, &err) < 0) {
                fail(c, &err);
                return;
        }
        c->vm = vm_load(c->daemon, c->folder, &err);
        if (!c->vm) {
                fail(c, &err);
                return;
        }
        if (c->install)
                begin_installation(c);
        else
                begin_first_boot(c);
}

static void on_child_progress(void *userdata, struct json_object *owned_progress)
{
        report(userdata, owned_progress);
}

static void on_child_done(void *userdata, struct json_object *result, const struct error *err)
{
        struct create *c = userdata;

        task_child_free(take_ptr(c->child));
        if (err) {
                fail(c, err);
                return;
        }
        c->result = json_object_get(result);
        make_vm(c);
}

static void on_adopted(void *userdata, struct json_object *result, const struct error *err)
{
        struct create *c = userdata;
        struct error failure = ERROR_INIT;
        struct json_object *notices = json_get(result, "notices");

        c->adoption = NULL;
        if (c->ending) {
                end_vm(c);
                return;
        }
        for (size_t i = 0; notices && i < json_object_array_length(notices); i++)
                report(c, progress_notice(json_object_get_string(json_object_array_get_idx(notices, i))));
        c->result = json_object_get(result);
        if (err || adoption_take(&c->record, c->folder, result, &failure) < 0)
                fail(c, err ? err : &failure);
        else
                make_vm(c);
}

static int begin(struct create *c, struct error *err)
{
        const struct adoption_options adoption = {.from = c->from, .folder = c->folder, .record = &c->record};
        const struct create_child_options child = {
                .folder = c->folder,
                .name = c->record.name,
                .image = c->image_path,
                .preseed = c->preseed,
                .mirror = c->mirror,
                .proxy = c->proxy,
                .install = c->install,
                .size = c->record.size,
        };

        if (c->from)
                c->adoption = adoption_start(c->daemon, &adoption, on_child_progress, on_adopted, c, err);
        else
                c->child = create_child_start(c->daemon->loop, &child, on_child_progress, on_child_done, c, err);
        return c->child || c->adoption ? 0 : -1;
}

struct create *create_start(struct daemon *daemon, const struct create_options *o, create_progress_fn progress,
                            create_done_fn done, void *userdata, struct error *err)
{
        struct create *c = xcalloc(1, sizeof(*c));
        mode_t mode = geteuid() == 0 ? 0711 : 0700;
        struct stat st;

        c->daemon = daemon;
        c->log_fd = -1;
        c->command_line_fd = -1;
        c->install = streq(o->method, "installer");
        c->keep = o->keep;
        c->show = o->show;
        c->progress = progress;
        c->done = done;
        c->userdata = userdata;
        c->preseed = o->preseed ? xstrdup(o->preseed) : xasprintf("%s/default.cfg", daemon->paths.preseed);
        c->mirror = o->mirror ? xstrdup(o->mirror) : NULL;
        c->proxy = o->proxy ? xstrdup(o->proxy) : NULL;
        c->from = o->from ? xstrdup(o->from) : NULL;
        if (create_read_options(daemon, o, &c->record, &c->image_path, err) < 0) {
                create_free(c);
                return NULL;
        }
        c->folder = xasprintf("%s/creating/%s", daemon->paths.state, o->name);
        c->target = xasprintf("%s/vms/%s", daemon->paths.state, o->name);
        c->failed = xasprintf("%s/failed/%s", daemon->paths.state, o->name);
        if (stat(c->target, &st) == 0) {
                error_set(err, ERR_EXISTS,
                          "VM '%s' is already there; start it with 'initvm -n %s start', or remove it with 'initvm -n %s "
                          "destroy'",
                          o->name, o->name, o->name);
                create_free(c);
                return NULL;
        }
        if (create_remove_remains(c->folder, err) < 0 || tree_remove(c->failed, err) < 0 || dir_make(c->folder, mode, err) < 0) {
                create_free(c);
                return NULL;
        }
        if (begin(c, err) < 0) {
                create_remove_remains(c->folder, NULL);
                create_free(c);
                return NULL;
        }
        return c;
}

struct vm *create_vm(struct create *c)
{
        return c->vm;
}

struct json_object *create_describe(const struct create *c)
{
        return vm_describe_record(&c->record, c->folder, "creating");
}

void create_cancel(struct create *c)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_CANCELLED, "cancelled");
        c->cancelled = true;
        fail(c, &err);
}
