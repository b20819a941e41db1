/* SPDX-License-Identifier: MIT */
#include "daemon/vm.h"

#include "base/file.h"
#include "base/log.h"
#include "daemon/console_log.h"
#include "daemon/device_lock.h"
#include "daemon/disk_lock.h"
#include "daemon/domain_xml.h"
#include "daemon/guest_panic.h"
#include "daemon/progress.h"
#include "daemon/snapshot_restore.h"
#include "daemon/virt_stream.h"
#include "daemon/vm_private.h"
#include "wire/varlink.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Of the console's record, in which a panic is looked for: an oops and its traces are some thousand bytes. */
#define PANIC_TAIL ((size_t)16 * 1024)

struct vm *vm_load(struct daemon *daemon, const char *folder, struct error *err)
{
        struct vm *vm = xcalloc(1, sizeof(*vm));
        struct error recover_err = ERROR_INIT;

        vm->daemon = daemon;
        vm->folder = xstrdup(folder);
        if (vm_record_load(&vm->record, folder, err) < 0) {
                vm_free(vm);
                return NULL;
        }
        boot_remove_left(&vm->record, folder);
        if (disk_lock_check(folder, vm->record.name, NULL) == 0 && vm_disk_recover(&vm->record, folder, &recover_err) < 0)
                log_warning("VM '%s': %s", vm->record.name, recover_err.message);
        return vm;
}

/* `why` is for who waits for something of it. */
static void let_go(struct vm *vm, const char *why)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_STATE, "VM '%s' has ended meanwhile: %s", vm->record.name, why);
        vm_wake_waiters(vm, VM_WANTED_ANY, &err);
        vm_agent_forget(vm);
        vm_stop_forget(vm);
        vm_close_channel(vm);
        virt_stream_free(take_ptr(vm->installation_log));
        vm->installation = NULL;
        vm_forget_network(vm);
        free(take_ptr(vm->panic));
        console_free(take_ptr(vm->console));
        if (vm->domain)
                virDomainFree(take_ptr(vm->domain));
}

void vm_free(struct vm *vm)
{
        if (!vm)
                return;
        let_go(vm, "it is not looked after any more");
        snapshot_restore_drop(vm->completion);
        vm_disk_drop(vm->disk);
        loop_source_free(vm->deadline);
        vm_record_done(&vm->record);
        free(vm->folder);
        free(vm);
}

const struct vm_record *vm_record(const struct vm *vm)
{
        return &vm->record;
}

const char *vm_folder(const struct vm *vm)
{
        return vm->folder;
}

void vm_moved(struct vm *vm, const char *folder)
{
        free(vm->folder);
        vm->folder = xstrdup(folder);
}

bool vm_busy(const struct vm *vm, struct error *err)
{
        if (!vm->operation)
                return false;
        error_set(err, ERR_STATE, "VM '%s' is %s; wait until that has ended", vm->record.name, vm->operation);
        return true;
}

bool vm_active(const struct vm *vm)
{
        return vm->domain != NULL;
}

bool vm_starting(const struct vm *vm)
{
        return streq(vm->operation, "starting");
}

const char *vm_acceleration(const struct vm *vm)
{
        return vm->running_kvm ? "kvm" : "tcg";
}

struct channel *vm_channel(struct vm *vm)
{
        return vm->channel;
}

struct console *vm_console(struct vm *vm)
{
        return vm->console;
}

virDomainPtr vm_domain(struct vm *vm)
{
        return vm->domain;
}

void vm_save_record(struct vm *vm)
{
        struct error err = ERROR_INIT;

        if (vm_record_save(&vm->record, vm->folder, &err) < 0)
                log_warning("VM '%s': %s", vm->record.name, err.message);
}

void vm_operation_begin(struct vm *vm, const char *name, vm_progress_fn progress, vm_done_fn done, void *userdata)
{
        vm->operation = name;
        vm->operation_started = now_ms();
        vm->progress = progress;
        vm->done = done;
        vm->userdata = userdata;
}

void vm_operation_end(struct vm *vm, const struct error *err)
{
        vm_done_fn done = vm->done;

        if (!vm->operation)
                return;
        vm->operation = NULL;
        vm->done = NULL;
        vm->progress = NULL;
        vm->abandoned = false;
        loop_source_free(take_ptr(vm->deadline));
        if (err && !vm->domain)
                vm_wake_waiters(vm, VM_WANTED_ANY, err);
        daemon_changed(vm->daemon);
        if (done)
                done(vm->userdata, err);
}

void vm_report(struct vm *vm, struct json_object *owned_progress)
{
        if (vm->progress)
                vm->progress(vm->userdata, owned_progress);
        else
                json_object_put(owned_progress);
}

void vm_adopt(struct vm *vm, virDomainPtr owned_domain)
{
        struct error err = ERROR_INIT;
        virStreamPtr console, channel;

        vm->domain = owned_domain;
        vm->running_kvm = true;
        autofree char *xml = virDomainGetXMLDesc(owned_domain, 0);
        if (xml && strstr(xml, "<domain type='qemu'"))
                vm->running_kvm = false;
        /* A daemon that died between creating the paused domain and resuming it. */
        if (virDomainResume(owned_domain) < 0)
                log_debug("VM '%s': %s", vm->record.name, virt_error());
        vm->ssh_port = xml ? domain_xml_ssh_port(xml) : 0;
        if (vm_open_streams(owned_domain, !xml || strstr(xml, AGENT_PORT_NAME), &console, &channel, &err) == 0) {
                vm_take_streams(vm, console, channel);
                if (vm_reopen_channel(vm, &err) < 0)
                        log_warning("VM '%s': %s", vm->record.name, err.message);
                return;
        }
        log_warning("VM '%s': %s", vm->record.name, err.message);
        if (virDomainIsActive(owned_domain) != 1) /* it has ended without us; its event is gone */
                virDomainFree(take_ptr(vm->domain));
}

/* Why a domain ended, in a sentence (virDomainEventStoppedDetailType). NULL when it was the proper end of our own stop. */
static const char *stop_reason(const struct vm *vm, int detail)
{
        switch (detail) {
        case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN:
                return vm->stopping ? "stopped" : "the guest powered itself off";
        case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
                return vm->stopping ? "killed by 'initvm stop'" : "killed through libvirt";
        case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
                return "the guest crashed";
        case VIR_DOMAIN_EVENT_STOPPED_FAILED:
                return "QEMU ended unexpectedly (killed, or out of memory)";
        default:
                return "stopped";
        }
}

void vm_domain_rebooted(struct vm *vm)
{
        autofree char *log = xasprintf("%s/console.log", vm->folder), *text = xcalloc(1, PANIC_TAIL);

        free(vm->panic);
        vm->panic = guest_panic_find(text, console_log_tail(log, (uint8_t *)text, PANIC_TAIL));
        log_info("VM '%s': %s", vm->record.name, vm->panic ? "the guest's kernel panicked" : "the guest reboots");
        channel_guest_reset(vm->channel, vm->panic ? "the guest's kernel panicked" : "the guest has rebooted");
}

const char *vm_panic(const struct vm *vm)
{
        return vm->panic;
}

/* A domain that has ended: its definition goes in a worker, then the operation that waited for the end is over. */
struct ending {
        struct vm *vm;
        virDomainPtr domain;
        char *last_lines;
        bool wanted;
};

static void undefine(void *userdata)
{
        struct ending *e = userdata;

        if (virDomainUndefine(e->domain) < 0)
                log_warning("domain '%s': %s", virDomainGetName(e->domain), virt_error());
}

static void on_undefined(void *userdata)
{
        struct ending *e = userdata;
        struct vm *vm = e->vm;
        struct error err = ERROR_INIT;

        vm_save_record(vm);
        if (!e->wanted)
                error_set(&err, ERR_FAILED, "VM '%s' ended while it was %s: %s; the console's last lines:\n%s", vm->record.name,
                          vm->operation ? vm->operation : "running", vm->record.reason, e->last_lines);
        virDomainFree(e->domain);
        free(e->last_lines);
        bool wanted = e->wanted;
        free(e);
        vm_operation_end(vm, wanted ? NULL : &err); /* may free the VM */
}

void vm_domain_stopped(struct vm *vm, int detail)
{
        struct ending *e;

        if (!vm->domain)
                return;
        e = xcalloc(1, sizeof(*e));
        e->vm = vm;
        e->domain = vm->domain;
        virDomainRef(e->domain);
        e->wanted = vm->stopping;
        e->last_lines = vm->console ? console_last_lines(vm->console, 8) : xstrdup("");
        free(vm->record.reason);
        vm->record.reason = xstrdup(stop_reason(vm, detail));
        vm->record.started = 0;
        log_info("VM '%s': %s", vm->record.name, vm->record.reason);
        let_go(vm, vm->record.reason); /* the streams are closed before the definition goes: see vm.h */
        vm->stopping = false;
        vm->hello_wanted = false;
        loop_source_free(take_ptr(vm->deadline));
        if (!vm->operation)
                vm_operation_begin(vm, "stopping", NULL, NULL, NULL);
        worker_run(vm->daemon->worker, undefine, on_undefined, e);
}

void vm_check_ended(struct vm *vm)
{
        if (vm->domain || !vm->record.started)
                return;
        free(vm->record.reason);
        vm->record.reason = xstrdup("it ended while no daemon was running (power-off, killed, or a restart of the host)");
        vm->record.started = 0;
        vm_save_record(vm);
}

/* QEMU's process, from the pid file that libvirt's driver keeps below its root; 0 when it cannot be told. */
static uint64_t qemu_pid(const struct vm *vm)
{
        autofree char *path = xasprintf("%s/libvirt/run/qemu/%s.pid", vm->daemon->paths.state, vm->record.name);
        autofree char *text = file_read(path, 32, NULL, NULL);
        uint64_t pid = 0;

        if (!text)
                return 0;
        text[strcspn(text, "\n")] = '\0';
        return parse_u64(text, 1, INT32_MAX, &pid) < 0 ? 0 : pid;
}

static const char *state_name(const struct vm *vm, int domain_state)
{
        if (vm->operation)
                return vm->disk ? "busy" : vm->operation;
        switch (domain_state) {
        case VIR_DOMAIN_RUNNING:
        case VIR_DOMAIN_BLOCKED:
                return "running";
        case VIR_DOMAIN_PAUSED:
        case VIR_DOMAIN_PMSUSPENDED:
                return "paused";
        case VIR_DOMAIN_SHUTDOWN:
                return "stopping";
        default:
                return "stopped";
        }
}

struct json_object *vm_describe_record(const struct vm_record *r, const char *folder, const char *state)
{
        struct json_object *o = json_new(), *disk = json_new();
        autofree char *image = xasprintf("%s/buildenv.img", folder);
        autofree char *log = xasprintf("%s/console.log", folder);
        struct stat st = {0};

        if (stat(image, &st) < 0)
                st.st_blocks = 0;
        json_add_u64(disk, "virtual", r->size);
        json_add_u64(disk, "allocated", (uint64_t)st.st_blocks * 512);
        json_add_string(o, "name", r->name);
        json_add_string(o, "state", state);
        json_add_string(o, "agent", "none");
        json_add_string(o, "channel", vm_record_by_ssh(r) ? "ssh" : "virtio");
        json_add_string(o, "image", r->image);
        json_add_string(o, "suite", r->suite);
        json_add_string(o, "architecture", r->architecture);
        json_add_string(o, "hostname", r->hostname);
        json_add_u64(o, "memory", r->memory);
        json_add_u64(o, "cpus", r->cpus);
        json_add(o, "disk", disk);
        json_add_u64(o, "created", r->created);
        json_add_string(o, "folder", folder);
        json_add_string(o, "consoleLog", log);
        return o;
}

struct json_object *vm_describe(struct vm *vm, int domain_state)
{
        const struct vm_record *r = &vm->record;
        struct json_object *o = vm_describe_record(r, vm->folder, state_name(vm, domain_state));
        uint64_t pid;

        if (vm->disk) {
                autofree char *reason = xasprintf("it is %s", vm->operation);

                json_add_string(o, "reason", reason);
                return o;
        }
        if (!vm->domain) {
                json_add_string(o, "reason", r->reason ? r->reason : "not started yet");
                return o;
        }
        json_add_string(o, "agent", vm->agent_usable ? "connected" : vm->agent_error.code ? "unusable" : "waiting");
        json_add_string(o, "channel", vm->by_ssh ? "ssh" : "virtio");
        if (vm->by_ssh)
                json_add_string(o, "channelTrouble", vm->channel_trouble);
        if (vm->ssh_port)
                json_add_u64(o, "sshPort", vm->ssh_port);
        json_add_string(o, "acceleration", vm_acceleration(vm));
        json_add_string(o, "panic", vm->panic);
        pid = qemu_pid(vm);
        if (pid)
                json_add_u64(o, "pid", pid);
        if (r->started)
                json_add_u64(o, "uptime", (uint64_t)MAX(time(NULL) - (time_t)r->started, 0) * 1000);
        return o;
}
