/* SPDX-License-Identifier: MIT */
/* The agent is asked to power off, else ACPI; the domain's end is an event; when it does not come in time, the VM is killed. */
#include "base/json.h"
#include "base/log.h"
#include "daemon/progress.h"
#include "daemon/vm_private.h"
#include "wire/varlink.h"

#include <stdlib.h>

struct stopping {
        struct vm *vm;
        virDomainPtr domain;
        struct error err;
        bool failed;
};

static struct stopping *stopping_new(struct vm *vm)
{
        struct stopping *s = xcalloc(1, sizeof(*s));

        s->vm = vm;
        s->domain = vm->domain;
        virDomainRef(s->domain);
        return s;
}

/* In a worker. A guest may reboot instead of shutting down: because its kernel panics on the way, or somebody was faster. That is
 * an end as well, where otherwise nobody would be there any more who was asked to shut down. */
static void end_at_reboot(void *userdata)
{
        struct stopping *s = userdata;

        if (virDomainSetLifecycleAction(s->domain, VIR_DOMAIN_LIFECYCLE_REBOOT, VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY,
                                        VIR_DOMAIN_AFFECT_LIVE) < 0)
                log_warning("a VM that reboots instead of shutting down will not be stopped by that: %s", virt_error());
}

/* In a worker. */
static void shutdown_by_acpi(void *userdata)
{
        struct stopping *s = userdata;

        if (virDomainShutdownFlags(s->domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) < 0)
                log_warning("cannot shut the VM down: %s", virt_error());
}

static void stopping_free(void *userdata)
{
        struct stopping *s = userdata;

        virDomainFree(s->domain);
        free(s);
}

/* In a worker. A domain that has ended meanwhile is what we want. */
static void destroy(void *userdata)
{
        struct stopping *s = userdata;

        if (virDomainDestroy(s->domain) < 0 && virDomainIsActive(s->domain) == 1) {
                error_set(&s->err, ERR_FAILED, "libvirt cannot kill the VM: %s", virt_error());
                s->failed = true;
        }
}

static void on_destroyed(void *userdata)
{
        struct stopping *s = userdata;

        if (s->failed)
                vm_operation_end(s->vm, &s->err);
        stopping_free(s);
}

static void kill_domain(struct vm *vm)
{
        worker_run(vm->daemon->worker, destroy, on_destroyed, stopping_new(vm));
}

static void on_deadline(void *userdata)
{
        struct vm *vm = userdata;

        vm_report(vm, progress_warning("the guest did not shut down in time and is killed"));
        kill_domain(vm);
}

static void press_power_button(struct vm *vm)
{
        worker_run(vm->daemon->worker, shutdown_by_acpi, stopping_free, stopping_new(vm));
}

struct request {
        struct vm *vm;
        struct channel_stream *stream;
};

static void request_end(struct request *r)
{
        channel_close(r->stream);
        free(r);
}

/* That it will shut down says nothing that the domain's end does not say. That it cannot is no reason to wait for the deadline.
 */
static void on_message(struct request *r, const struct frame *f)
{
        struct vm *vm = r->vm;
        struct error err = ERROR_INIT;
        struct json_object *parameters = NULL;
        bool continues = false;
        autojson struct json_object *message = json_parse((const char *)f->payload, f->size, &err);

        if (message && varlink_read_reply(message, &parameters, &continues, &err) == 0)
                return;
        request_end(r);
        if (!vm->stopping || !vm->domain)
                return;
        log_warning("VM '%s' gets the power button, because its agent cannot shut it down: %s", vm->record.name, err.message);
        press_power_button(vm);
}

static void on_frame(void *userdata, const struct frame *f)
{
        if (f->type == FRAME_MESSAGE)
                on_message(userdata, f);
        else if (f->type == FRAME_CLOSE)
                request_end(userdata);
}

static void on_lost(void *userdata, const char *why)
{
        (void)why;
        request_end(userdata);
}

static const struct channel_stream_events request_events = {.frame = on_frame, .lost = on_lost};

static bool shutdown_by_agent(struct vm *vm)
{
        struct error err = ERROR_INIT;
        struct json_object *parameters = json_new();
        struct request *r = xcalloc(1, sizeof(*r));

        r->vm = vm;
        json_add_string(parameters, "mode", "poweroff");
        r->stream =
                channel_open(vm->channel, varlink_call_new("org.initvm.agent.Shutdown", parameters, 0), &request_events, r, &err);
        if (r->stream)
                return true;
        free(r);
        return false;
}

/* Meanwhile it may have been killed. */
static void shut_down(struct vm *vm)
{
        if (vm->stopping && vm->domain && !shutdown_by_agent(vm))
                press_power_button(vm);
}

static void on_prepared(void *userdata)
{
        struct stopping *s = userdata;
        struct vm *vm = s->vm;

        stopping_free(s);
        if (!vm) /* it has ended */
                return;
        vm->stop_prepared = NULL;
        vm->boot_refresh = vm->agent_usable ? boot_refresh_start(vm, shut_down) : NULL;
        if (!vm->boot_refresh)
                shut_down(vm);
}

void vm_stop_forget(struct vm *vm)
{
        if (vm->stop_prepared)
                vm->stop_prepared->vm = NULL;
        vm->stop_prepared = NULL;
}

void vm_stop(struct vm *vm, const struct vm_stop_options *options, vm_progress_fn progress, vm_done_fn done, void *userdata)
{
        struct error err = ERROR_INIT;

        /* A forced stop takes over from a start or a stop that hangs. */
        if (options->force && vm->domain && vm->operation) {
                vm->hello_wanted = false;
                error_set(&err, ERR_CANCELLED, "VM '%s' was killed while it was %s", vm->record.name, vm->operation);
                vm_operation_end(vm, &err);
        }
        if (vm_busy(vm, &err)) {
                done(userdata, &err);
                return;
        }
        if (!vm->domain) {
                done(userdata, NULL);
                return;
        }
        vm_operation_begin(vm, "stopping", progress, done, userdata);
        vm->stopping = true;
        if (options->force) {
                kill_domain(vm);
                return;
        }
        vm->deadline = loop_add_timer(vm->daemon->loop, on_deadline, vm);
        loop_timer_arm(vm->deadline, options->timeout_ms ? options->timeout_ms : STOP_TIMEOUT_MS);
        vm->stop_prepared = stopping_new(vm);
        worker_run(vm->daemon->worker, end_at_reboot, on_prepared, vm->stop_prepared);
}

void vm_await_end(struct vm *vm, const char *operation, vm_done_fn done, void *userdata)
{
        vm_operation_begin(vm, operation, NULL, done, userdata);
        vm->stopping = true;
}
