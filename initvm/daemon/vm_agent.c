/* SPDX-License-Identifier: MIT */
/*
 * What an agent's Hello means for its VM: it is ready; or its agent is older than ours and is replaced, on the side when it can
 * be used meanwhile; or it cannot be used at all, and whoever waits for it is told why.
 */
#include "base/log.h"
#include "daemon/vm_private.h"
#include "wire/agent_version.h"

#include <stdlib.h>

static void become_ready(struct vm *vm)
{
        vm->agent_usable = true;
        vm_wake_waiters(vm, VM_WANTED_AGENT, NULL);
        if (vm->hello_wanted) {
                vm->hello_wanted = false;
                vm_operation_end(vm, NULL);
        }
}

static void become_unusable(struct vm *vm, const struct error *err)
{
        log_error("VM '%s': %s", vm->record.name, err->message);
        vm->agent_error = *err;
        vm_wake_waiters(vm, VM_WANTED_AGENT, err);
        if (vm->hello_wanted) {
                vm->hello_wanted = false;
                vm_operation_end(vm, err);
        }
}

static void update_failed(struct vm *vm, const struct error *err)
{
        struct error e = *err;

        error_prefix(&e, "the agent in the VM could not be updated");
        if (vm->agent_usable)
                log_warning("VM '%s': %s", vm->record.name, e.message);
        else
                become_unusable(vm, &e);
}

/* On success the new agent's Hello says the rest. */
static void on_updated(void *userdata, const struct error *err)
{
        struct vm *vm = userdata;

        vm->agent_update = NULL;
        if (err)
                update_failed(vm, err);
}

/* Once, until an agent is not older than we are: one that is old again after it was replaced would be replaced for ever. */
static void update(struct vm *vm, const char *version)
{
        struct error err = ERROR_INIT;

        if (vm->agent_update)
                return;
        if (vm->agent_updated) {
                error_set(&err, ERR_UNSUPPORTED, "it was replaced, and is %s again", version);
                update_failed(vm, &err);
                return;
        }
        vm->agent_updated = true;
        log_info("VM '%s': replacing agent %s by %s", vm->record.name, version, INITVM_VERSION);
        vm->agent_update = agent_update_start(vm->daemon->loop, vm->channel, on_updated, vm, &err);
        if (!vm->agent_update)
                update_failed(vm, &err);
}

/* One that tells no version is older than any that does. */
static enum agent_verdict judge(struct json_object *hello)
{
        struct agent_version v;

        if (agent_version_read(json_get_string(hello, "agentVersion", ""), json_get_u64(hello, "protocolMin", 0),
                               json_get_u64(hello, "protocolMax", 0), &v) < 0)
                return AGENT_UPDATE_FIRST;
        return agent_version_judge(&v, INITVM_VERSION);
}

/* An agent that knows nothing of it is an older one. Each says it anew when it has changed. */
static void keep_binfmt(struct vm *vm, struct json_object *hello)
{
        struct json_object *told = json_get(hello, "binfmt");

        json_object_put(vm->binfmt);
        vm->binfmt = json_object_is_type(told, json_type_array) ? json_object_get(told) : NULL;
}

struct json_object *vm_binfmt(const struct vm *vm)
{
        return vm->binfmt;
}

static void on_hello(void *userdata, struct json_object *parameters)
{
        struct vm *vm = userdata;
        const char *version = json_get_string(parameters, "agentVersion", "?");
        enum agent_verdict verdict = judge(parameters);
        struct error err = ERROR_INIT;

        log_info("VM '%s': agent %s, kernel %s", vm->record.name, version, json_get_string(parameters, "kernel", "?"));
        free(vm->record.hostname);
        vm->record.hostname = xstrdup(json_get_string(parameters, "hostname", vm->record.name));
        keep_binfmt(vm, parameters);
        vm_set_trouble(vm, NULL);
        vm->agent_usable = false;
        vm->agent_error.code = ERR_NONE;
        if (verdict == AGENT_USE)
                vm->agent_updated = false;
        if (verdict == AGENT_USE || verdict == AGENT_USE_UPDATE)
                become_ready(vm);
        if (verdict == AGENT_TOO_NEW) {
                error_set(&err, ERR_UNSUPPORTED,
                          "the agent in VM '%s' (%s) speaks protocol %llu and newer, this initvm (%s) up to %d; install a newer "
                          "initvm",
                          vm->record.name, version, (unsigned long long)json_get_u64(parameters, "protocolMin", 0),
                          INITVM_VERSION, AGENT_PROTOCOL_MAX);
                become_unusable(vm, &err);
        }
        if (verdict == AGENT_USE_UPDATE || verdict == AGENT_UPDATE_FIRST)
                update(vm, version);
}

static void on_lost(void *userdata, const char *why)
{
        struct vm *vm = userdata;

        if (vm->agent_usable || !streq(why, vm->channel_trouble)) /* each try tells; the log wants it once */
                log_info("VM '%s': the agent is not there: %s", vm->record.name, why);
        vm_set_trouble(vm, why);
        vm->agent_usable = false;
}

const struct channel_events vm_agent_events = {.hello = on_hello, .lost = on_lost, .ended = vm_channel_ended};

void vm_agent_forget(struct vm *vm)
{
        agent_update_cancel(take_ptr(vm->agent_update));
        boot_refresh_cancel(take_ptr(vm->boot_refresh));
        json_object_put(take_ptr(vm->binfmt));
        vm->agent_updated = vm->agent_usable = false;
        vm->agent_error = (struct error)ERROR_INIT;
}
