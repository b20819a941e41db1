/* SPDX-License-Identifier: MIT */
/*
 * From the record to the agent's Hello: decide the acceleration, create the domain paused, open console and port before a byte
 * can be missed, resume, wait.
 */
#include "base/log.h"
#include "daemon/device_lock.h"
#include "daemon/disk_lock.h"
#include "daemon/domain_xml.h"
#include "daemon/libvirt_connection.h"
#include "daemon/passt.h"
#include "daemon/progress.h"
#include "daemon/reaper.h"
#include "daemon/snapshot_restore.h"
#include "daemon/ssh_identity.h"
#include "daemon/tsc.h"
#include "daemon/virt_stream.h"
#include "daemon/vm_disk.h"
#include "daemon/vm_private.h"

#include <fcntl.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The console's lines that a failed start quotes. */
#define QUOTED_LINES 12

struct starting {
        struct vm *vm;
        struct vm_start_options options;
        bool kvm;
        bool port;         /* the agent's, not SSH */
        uint16_t ssh_port; /* 0: QEMU's own user network */
        int net_fd;        /* where QEMU connects to otherwise */
        uid_t qemu_uid;
        char *passt_log;
        pid_t passt;
        char *xml;
        virDomainPtr domain;
        virStreamPtr console, channel;
        virStreamPtr log; /* of an installation */
        struct error err;
        bool failed;
};

static void starting_free(struct starting *s)
{
        free(s->xml);
        free(s->passt_log);
        cleanup_close(&s->net_fd);
        free(s);
}

static void on_deadline(void *userdata)
{
        struct vm *vm = userdata;
        struct error err = ERROR_INIT;
        autofree char *last = vm->console ? console_last_lines(vm->console, QUOTED_LINES) : xstrdup("");
        const char *phase = *last ? "booting (waiting for the agent's Hello)" : "waiting for the first byte on the console";

        const char *trouble = vm->by_ssh ? vm->channel_trouble : NULL;

        vm->hello_wanted = false;
        error_set(&err, ERR_TIMEOUT,
                  "VM '%s' was not ready after %llu s; phase: %s; it goes on running: look with 'initvm -n %s attach', or stop "
                  "it with "
                  "'initvm -n %s stop'; %s%s%sconsole log: %s/console.log%s%s",
                  vm->record.name, (unsigned long long)((now_ms() - vm->operation_started) / 1000), phase, vm->record.name,
                  vm->record.name, trouble ? "no agent by SSH: " : "", trouble ? trouble : "", trouble ? "; " : "", vm->folder,
                  *last ? "; its last lines:\n" : "", last);
        vm_operation_end(vm, &err);
}

static void streams_free(struct starting *s)
{
        virStreamPtr *const streams[] = {&s->console, &s->channel};

        for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
                if (*streams[i]) {
                        virStreamAbort(*streams[i]);
                        virStreamFree(*streams[i]);
                        *streams[i] = NULL;
                }
}

void vm_abandon_start(struct vm *vm)
{
        vm->abandoned = true;
}

/* Whether it was given up meanwhile: then that ends it. */
static bool end_abandoned(struct starting *s)
{
        if (!s->vm->abandoned)
                return false;
        error_set(&s->err, ERR_CANCELLED, "the start of VM '%s' was given up", s->vm->record.name);
        vm_operation_end(s->vm, &s->err);
        return true;
}

/* In a worker. */
static void create_domain(void *userdata)
{
        struct starting *s = userdata;
        struct kept_ptys kept;
        bool created;

        s->domain = virDomainDefineXML(s->vm->daemon->libvirt, s->xml);
        kept_ptys_take(&kept);
        created = s->domain && virDomainCreateWithFlags(s->domain, VIR_DOMAIN_START_PAUSED) == 0;
        kept_ptys_release(&kept);
        if (created &&
            (!s->ssh_port || passt_start(s->net_fd, s->qemu_uid, s->ssh_port, s->passt_log, &s->passt, &s->err) == 0) &&
            vm_open_streams(s->domain, s->port, &s->console, &s->channel, &s->err) == 0 &&
            (!s->options.installation || (s->log = vm_open_installation_log(s->domain, &s->err)) != NULL))
                return;
        streams_free(s);
        s->failed = true;
        if (s->err.code == ERR_NONE)
                error_set(&s->err, ERR_FAILED, "libvirt cannot start VM '%s': %s", s->vm->record.name, virt_error());
        if (!s->domain)
                return;
        virDomainDestroy(s->domain); /* fails when it was not created */
        virDomainUndefine(s->domain);
        virDomainFree(s->domain);
        s->domain = NULL;
}

/* In a worker. */
static void resume_domain(void *userdata)
{
        struct starting *s = userdata;

        if (virDomainResume(s->domain) < 0) {
                error_set(&s->err, ERR_FAILED, "libvirt cannot start VM '%s': %s", s->vm->record.name, virt_error());
                s->failed = true;
        }
}

/* A domain that cannot be resumed is ended; its end ends the operation. It may have ended before we had it: no event then. */
static void on_resumed(void *userdata)
{
        struct starting *s = userdata;

        if (s->failed && s->vm->domain) {
                log_warning("%s", s->err.message);
                if (virDomainIsActive(s->domain) != 1)
                        vm_domain_stopped(s->vm, VIR_DOMAIN_EVENT_STOPPED_FAILED);
                else
                        virDomainDestroy(s->domain);
        }
        virDomainFree(s->domain);
        starting_free(s);
}

static void on_log_data(void *userdata, const uint8_t *data, size_t n)
{
        struct vm *vm = userdata;

        if (vm->installation)
                vm->installation->log(vm->installation->userdata, data, n);
}

static void on_log_ended(void *userdata)
{
        (void)userdata; /* the domain's end follows */
}

/* It runs, and has nobody to say Hello. */
static void begin_installation(struct starting *s)
{
        static const struct virt_stream_events events = {.data = on_log_data, .ended = on_log_ended};
        struct vm *vm = s->vm;

        vm->installation = s->options.installation;
        vm->installation_log = virt_stream_new(s->log, &events, vm);
        console_watch(vm->console, vm->installation->console, vm->installation->userdata);
        worker_run(vm->daemon->worker, resume_domain, on_resumed, s);
        vm_operation_end(vm, NULL);
}

static void on_created(void *userdata)
{
        struct starting *s = userdata;
        struct vm *vm = s->vm;
        uint64_t timeout = s->options.timeout_ms;

        if (s->failed) {
                if (s->passt > 0)
                        reaper_take(vm->daemon->loop, s->passt);
                vm_operation_end(vm, &s->err);
                starting_free(s);
                return;
        }
        vm->domain = s->domain;
        virDomainRef(s->domain);
        vm->running_kvm = s->kvm;
        vm->record.started = (uint64_t)time(NULL);
        free(take_ptr(vm->record.reason));
        vm_save_record(vm);
        vm->ssh_port = s->ssh_port;
        if (s->passt > 0)
                vm_watch_network(vm, s->passt);
        vm_take_streams(vm, s->console, s->channel);
        if (s->options.installation) {
                begin_installation(s);
                return;
        }
        if (end_abandoned(s)) {
                virDomainFree(s->domain);
                starting_free(s);
                return;
        }
        vm->hello_wanted = true;
        if (timeout == 0)
                timeout = s->kvm ? START_TIMEOUT_KVM_MS : START_TIMEOUT_TCG_MS;
        vm->deadline = loop_add_timer(vm->daemon->loop, on_deadline, vm);
        loop_timer_arm(vm->deadline, timeout);
        if (vm_reopen_channel(vm, &s->err) < 0) {
                vm->hello_wanted = false;
                vm_operation_end(vm, &s->err);
                s->err = (struct error)ERROR_INIT;
        }
        worker_run(vm->daemon->worker, resume_domain, on_resumed, s);
}

/* QEMU appends; the file is made here so that it belongs to us and is private also where QEMU runs as another user. */
static void make_log(const struct vm *vm, const char *name)
{
        autofree char *path = xasprintf("%s/%s", vm->folder, name);
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0)
                log_warning("VM '%s': cannot make '%s'", vm->record.name, path);
}

/* The port that leads to the guest, and the one where QEMU finds its network. */
static int prepare_network(struct starting *s, struct domain_options *options, struct error *err)
{
        if (passt_choose_port(&s->vm->record, &s->ssh_port, err) < 0)
                return -1;
        s->net_fd = passt_listen(&options->net_port, err);
        if (s->net_fd < 0)
                return -1;
        s->qemu_uid = libvirt_qemu_uid();
        s->passt_log = xasprintf("%s/passt.log", s->vm->folder);
        options->ssh_port = s->ssh_port;
        return 0;
}

static void on_accel(void *userdata, bool kvm, const char *why_not, const struct error *err)
{
        struct starting *s = userdata;
        struct vm *vm = s->vm;
        const struct machine *known = machine_find(vm->record.architecture), *machine = known ? known : vm->daemon->machine;
        const struct vm_installation *installation = s->options.installation;
        autofree char *boot = boot_folder(&vm->record, vm->folder);
        struct domain_options options = {.folder = vm->folder,
                                         .boot_folder = s->options.from_disk ? NULL
                                                        : installation       ? installation->folder
                                                                             : boot,
                                         .installer = installation ? installation->command_line : NULL,
                                         .kvm = kvm,
                                         .tsc_khz = tsc_khz(),
                                         .unsafe_writes = s->options.unsafe_writes};
        struct error net_err = ERROR_INIT;

        if (err) {
                vm_operation_end(vm, err);
                starting_free(s);
                return;
        }
        if (end_abandoned(s)) {
                starting_free(s);
                return;
        }
        options.no_port = !s->port;
        if (vm->record.ssh_forward && !installation && prepare_network(s, &options, &net_err) < 0) {
                vm_operation_end(vm, &net_err);
                starting_free(s);
                return;
        }
        if (why_not && !s->options.no_kvm_told) {
                autofree char *text = xasprintf("no KVM, using software emulation (about ten times slower%s): %s",
                                                vm->record.cpus > machine->tcg_cpus ? ", and one CPU only" : "", why_not);
                vm_report(vm, progress_warning(text));
        }
        s->kvm = kvm;
        s->xml = domain_xml(&vm->record, machine, &options);
        make_log(vm, "console.log");
        if (installation)
                make_log(vm, "installer.log");
        worker_run(vm->daemon->worker, create_domain, on_created, s);
}

/* Without the pinned host key nothing could be reached: said before the VM runs. */
static int check_identity(const struct vm *vm, struct error *err)
{
        struct ssh_identity identity;
        int result = 0;

        ssh_identity_init(&identity, vm->folder, vm->record.name);
        if (access(identity.key, R_OK) < 0 || access(identity.known_hosts, R_OK) < 0)
                result = error_set(err, ERR_NOT_FOUND,
                                   "VM '%s' is reached by SSH, but its key '%s' or its pinned host keys '%s' are not there",
                                   vm->record.name, identity.key, identity.known_hosts);
        ssh_identity_done(&identity);
        return result;
}

static void decide(struct starting *s)
{
        const struct vm_start_options *o = &s->options;
        struct vm *vm = s->vm;
        autofree char *folder = o->installation ? xstrdup(o->installation->folder) : boot_folder(&vm->record, vm->folder);
        autofree char *own_kernel = xasprintf("%s/kernel", folder);

        accel_decide(vm->daemon->accel, vm->record.acceleration, o->from_disk ? o->probe_kernel : own_kernel, on_accel, s);
}

static void on_completed(void *userdata, const struct error *err)
{
        struct starting *s = userdata;

        if (!err) {
                decide(s);
                return;
        }
        vm_operation_end(s->vm, err);
        starting_free(s);
}

void vm_start(struct vm *vm, const struct vm_start_options *options, vm_progress_fn progress, vm_done_fn done, void *userdata)
{
        autofree char *pending = snapshot_restore_pending(vm->folder);
        struct error err = ERROR_INIT;
        autoclose int lock = -1;
        struct starting *s;

        if (vm_busy(vm, &err)) {
                done(userdata, &err);
                return;
        }
        if (vm->domain) { /* runs already: what is left is to wait for the agent, when it is not there */
                uint64_t timeout = vm->running_kvm ? START_TIMEOUT_KVM_MS : START_TIMEOUT_TCG_MS;
                vm_when_ready(vm, options->timeout_ms ? options->timeout_ms : timeout, done, userdata);
                return;
        }
        lock = disk_lock(vm->folder, vm->record.name, &err);
        if (lock < 0 || vm_disk_recover(&vm->record, vm->folder, &err) < 0) {
                done(userdata, &err);
                return;
        }
        if (!options->with_port && vm_record_by_ssh(&vm->record) && check_identity(vm, &err) < 0) {
                done(userdata, &err);
                return;
        }
        vm_operation_begin(vm, "starting", progress, done, userdata);
        s = xcalloc(1, sizeof(*s));
        s->vm = vm;
        s->options = *options;
        s->net_fd = -1;
        s->port = options->with_port || !vm_record_by_ssh(&vm->record);
        if (!pending)
                decide(s);
        else if (snapshot_restore_complete(vm, lock, on_completed, s, &err) < 0)
                on_completed(s, &err);
}
