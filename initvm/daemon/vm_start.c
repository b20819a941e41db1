/* SPDX-License-Identifier: MIT */
/*
 * From the record to the agent's Hello: decide the acceleration, create the domain paused, open console and port before a byte
 * can be missed, resume, wait.
 */
#include "base/log.h"
#include "daemon/device_lock.h"
#include "daemon/domain_xml.h"
#include "daemon/progress.h"
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
        char *xml;
        virDomainPtr domain;
        virStreamPtr console, channel;
        struct error err;
        bool failed;
};

static void starting_free(struct starting *s)
{
        free(s->xml);
        free(s);
}

static void on_deadline(void *userdata)
{
        struct vm *vm = userdata;
        struct error err = ERROR_INIT;
        autofree char *last = vm->console ? console_last_lines(vm->console, QUOTED_LINES) : xstrdup("");
        const char *phase = *last ? "booting (waiting for the agent's Hello)" : "waiting for the first byte on the console";

        vm->hello_wanted = false;
        error_set(&err, ERR_TIMEOUT,
                  "VM '%s' was not ready after %llu s; phase: %s; it goes on running: look with 'initvm -n %s attach', or stop "
                  "it with "
                  "'initvm -n %s stop'; console log: %s/console.log%s%s",
                  vm->record.name, (unsigned long long)((now_ms() - vm->operation_started) / 1000), phase, vm->record.name,
                  vm->record.name, vm->folder, *last ? "; its last lines:\n" : "", last);
        vm_operation_end(vm, &err);
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
        if (created && vm_open_streams(s->domain, &s->console, &s->channel, &s->err) == 0)
                return;
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

static void on_created(void *userdata)
{
        struct starting *s = userdata;
        struct vm *vm = s->vm;
        uint64_t timeout = s->options.timeout_ms;

        if (s->failed) {
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
        vm_take_streams(vm, s->console, s->channel);
        vm->hello_wanted = true;
        if (timeout == 0)
                timeout = s->kvm ? START_TIMEOUT_KVM_MS : START_TIMEOUT_TCG_MS;
        vm->deadline = loop_add_timer(vm->daemon->loop, on_deadline, vm);
        loop_timer_arm(vm->deadline, timeout);
        worker_run(vm->daemon->worker, resume_domain, on_resumed, s);
}

/* QEMU appends; the file is made here so that it belongs to us and is private also where QEMU runs as another user. */
static void make_console_log(const struct vm *vm)
{
        autofree char *path = xasprintf("%s/console.log", vm->folder);
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0)
                log_warning("VM '%s': cannot make '%s'", vm->record.name, path);
}

static void on_accel(void *userdata, bool kvm, const char *why_not, const struct error *err)
{
        struct starting *s = userdata;
        struct vm *vm = s->vm;
        const struct machine *machine = machine_find(vm->record.architecture);
        struct domain_options options = {.folder = vm->folder, .kvm = kvm, .unsafe_writes = s->options.unsafe_writes};

        if (err) {
                vm_operation_end(vm, err);
                starting_free(s);
                return;
        }
        if (why_not) {
                autofree char *text = xasprintf("no KVM, using software emulation (about ten times slower): %s", why_not);
                vm_report(vm, progress_warning(text));
        }
        s->kvm = kvm;
        s->xml = domain_xml(&vm->record, machine ? machine : vm->daemon->machine, &options);
        make_console_log(vm);
        worker_run(vm->daemon->worker, create_domain, on_created, s);
}

void vm_start(struct vm *vm, const struct vm_start_options *options, vm_progress_fn progress, vm_done_fn done, void *userdata)
{
        struct error err = ERROR_INIT;
        autofree char *kernel = xasprintf("%s/kernel", vm->folder);
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
        vm_operation_begin(vm, "starting", progress, done, userdata);
        s = xcalloc(1, sizeof(*s));
        s->vm = vm;
        s->options = *options;
        accel_decide(vm->daemon->accel, vm->record.acceleration, kernel, on_accel, s);
}
