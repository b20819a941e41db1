/* SPDX-License-Identifier: MIT */
/*
 * The way to the agent: by its virtio-serial port, or by SSH.  By the port it lasts as long as the domain.  By SSH it may end for
 * good before, when trying again would not help (another host key, a key that is not accepted): that ends whatever waits for the
 * agent, and the next who wants it begins anew.
 */
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/process.h"
#include "daemon/device_lock.h"
#include "daemon/domain_xml.h"
#include "daemon/reaper.h"
#include "daemon/ssh_identity.h"
#include "daemon/virt_stream.h"
#include "daemon/vm_private.h"

#include <stdlib.h>

/* Where provisioning puts the agent. */
#define GUEST_AGENT_PATH "/usr/lib/initvm/initvm-agent"

/* Of passt's log, in a message: it says a sentence when it ends, and nothing else. */
#define LOG_MAX 1500

void vm_set_trouble(struct vm *vm, const char *text)
{
        free(vm->channel_trouble);
        vm->channel_trouble = text ? xstrdup(text) : NULL;
}

/* The port's end is that of the domain, of which libvirt tells. */
void vm_channel_ended(void *userdata, const struct error *why)
{
        struct vm *vm = userdata;
        struct error err = *why;

        if (!vm->by_ssh)
                return;
        vm->channel_over = true;
        vm_set_trouble(vm, why->message);
        error_prefix(&err, "VM '%s' cannot be reached by SSH", vm->record.name);
        log_warning("%s", err.message);
        vm_wake_waiters(vm, VM_WANTED_AGENT, &err);
        if (vm->hello_wanted) {
                vm->hello_wanted = false;
                vm_operation_end(vm, &err); /* may free the VM */
        }
}

void vm_take_streams(struct vm *vm, virStreamPtr console, virStreamPtr channel)
{
        autofree char *log = xasprintf("%s/console.log", vm->folder);

        if (console) {
                vm->console = console_new(vm->daemon->loop, console, log);
                vm_wake_waiters(vm, VM_WANTED_CONSOLE, NULL);
        }
        if (channel)
                vm->channel = channel_new(vm->daemon->loop, carrier_stream_new(channel), &vm_agent_events, vm);
        vm->by_ssh = !channel;
        vm->channel_over = !channel; /* not begun yet */
}

int vm_open_streams(virDomainPtr domain, bool port, virStreamPtr *ret_console, virStreamPtr *ret_channel, struct error *err)
{
        virConnectPtr connection = virDomainGetConnect(domain);
        virStreamPtr console = virStreamNew(connection, VIR_STREAM_NONBLOCK);
        virStreamPtr channel = port ? virStreamNew(connection, VIR_STREAM_NONBLOCK) : NULL;

        device_locks_remove(domain);
        if (console && (channel || !port) && virDomainOpenConsole(domain, NULL, console, VIR_DOMAIN_CONSOLE_FORCE) == 0 &&
            (!port || virDomainOpenChannel(domain, AGENT_PORT_NAME, channel, VIR_DOMAIN_CHANNEL_FORCE) == 0)) {
                *ret_console = console;
                *ret_channel = channel;
                return 0;
        }
        error_set(err, ERR_FAILED, "cannot open the VM's console%s: %s", port ? " and agent port" : "", virt_error());
        if (console) {
                virStreamAbort(console);
                virStreamFree(console);
        }
        if (channel)
                virStreamFree(channel);
        return -1;
}

virStreamPtr vm_open_installation_log(virDomainPtr domain, struct error *err)
{
        virStreamPtr log = virStreamNew(virDomainGetConnect(domain), VIR_STREAM_NONBLOCK);

        /* libvirt's alias of the second <serial>. */
        if (log && virDomainOpenConsole(domain, "serial1", log, VIR_DOMAIN_CONSOLE_FORCE) == 0)
                return log;
        error_set(err, ERR_FAILED, "cannot open the installer's log: %s", virt_error());
        if (log)
                virStreamFree(log);
        return NULL;
}

int vm_reopen_channel(struct vm *vm, struct error *err)
{
        autofree char *log = xasprintf("%s/ssh.log", vm->folder), *program = NULL, *agent = NULL;
        struct ssh_identity identity;
        struct carrier *carrier;

        if (!vm->channel_over)
                return 0;
        program = paths_program("initvm-ssh", err);
        agent = program ? paths_program("initvm-agent", err) : NULL;
        if (!agent)
                return -1;
        if (vm->ssh_port == 0)
                return error_set(err, ERR_STATE,
                                 "VM '%s' runs with neither the agent's port nor a port for SSH; stop and start it",
                                 vm->record.name);
        ssh_identity_init(&identity, vm->folder, vm->record.name);
        const struct carrier_ssh_options options = {
                .program = program,
                .agent_binary = agent,
                .agent_path = GUEST_AGENT_PATH,
                .port = vm->ssh_port,
                .user = SSH_IDENTITY_USER,
                .identity_file = identity.key,
                .known_hosts = identity.known_hosts,
                .host_key_alias = identity.alias,
                .log = log,
        };
        carrier = carrier_ssh_new(vm->daemon->loop, &options, err);
        ssh_identity_done(&identity);
        if (!carrier)
                return -1;
        channel_free(take_ptr(vm->channel));
        vm->channel = channel_new(vm->daemon->loop, carrier, &vm_agent_events, vm);
        vm->channel_over = false;
        return 0;
}

void vm_close_channel(struct vm *vm)
{
        channel_free(take_ptr(vm->channel));
        vm_set_trouble(vm, NULL);
        vm->by_ssh = vm->channel_over = false;
        vm->ssh_port = 0;
}

static void on_passt_ended(void *userdata, int wait_status)
{
        struct vm *vm = userdata;
        struct error err = ERROR_INIT;
        autofree char *log = xasprintf("%s/passt.log", vm->folder), *text = file_read(log, LOG_MAX, NULL, NULL);

        vm->passt = 0;
        loop_source_free(take_ptr(vm->passt_exit));
        if (wait_status == 0) /* its connection ended: so does QEMU */
                return;
        error_set(&err, ERR_FAILED, "the network of VM '%s' has ended, and with it the way to its SSH server: passt: %s%s%s",
                  vm->record.name, process_status_text(wait_status), text && *text ? "; " : "", text ? text : "");
        log_error("%s", err.message);
        vm_set_trouble(vm, err.message);
        if (vm->by_ssh)
                vm_wake_waiters(vm, VM_WANTED_AGENT, &err);
        if (vm->hello_wanted) {
                vm->hello_wanted = false;
                vm_operation_end(vm, &err);
        }
}

void vm_watch_network(struct vm *vm, pid_t passt)
{
        vm->passt = passt;
        vm->passt_exit = loop_add_child(vm->daemon->loop, passt, on_passt_ended, vm);
}

void vm_forget_network(struct vm *vm)
{
        loop_source_free(take_ptr(vm->passt_exit));
        if (vm->passt > 0)
                reaper_take(vm->daemon->loop, vm->passt);
        vm->passt = 0;
}
