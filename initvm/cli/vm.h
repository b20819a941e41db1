/* SPDX-License-Identifier: MIT */
/* What the commands on VMs share: the calls, and how a VM is told of. */
#pragma once

#include "base/json.h"
#include "cli/command.h"
#include "io/client.h"

/* The options that describe a new VM, of create and of ensure. */
#define VM_CREATE_OPTIONS                                                                                                        \
        {.name = "from",                                                                                                         \
         .type = OPTION_FILE,                                                                                                    \
         .argument = "FILE",                                                                                                     \
         .help = "take over the system of this image (qcow2 or raw), instead of making one"},                                    \
                {.name = "image",                                                                                                \
                 .letter = 'i',                                                                                                  \
                 .type = OPTION_STRING,                                                                                          \
                 .argument = "IMAGE",                                                                                            \
                 .help = "what to install: a name from 'initvm images'"},                                                        \
                {.name = "preseed",                                                                                              \
                 .letter = 'p',                                                                                                  \
                 .type = OPTION_FILE,                                                                                            \
                 .argument = "FILE",                                                                                             \
                 .help = "the preseed that describes the VM (default: the shipped one)"},                                        \
                {.name = "size",                                                                                                 \
                 .letter = 's',                                                                                                  \
                 .type = OPTION_SIZE,                                                                                            \
                 .argument = "SIZE",                                                                                             \
                 .help = "virtual size of the disk (default: 64G); the host pays only for what is used"},                        \
                {.name = "memory",                                                                                               \
                 .letter = 'm',                                                                                                  \
                 .type = OPTION_SIZE,                                                                                            \
                 .argument = "SIZE",                                                                                             \
                 .help = "memory of the VM (default: a quarter of the host's, 2G to 16G)"},                                      \
                {.name = "cpus",                                                                                                 \
                 .letter = 'c',                                                                                                  \
                 .type = OPTION_NUMBER,                                                                                          \
                 .argument = "N",                                                                                                \
                 .help = "CPUs of the VM (default: the host's, at most 16)"},                                                    \
                {.name = "mirror",                                                                                               \
                 .type = OPTION_STRING,                                                                                          \
                 .argument = "URL",                                                                                              \
                 .help = "Debian mirror (default: the preseed's, else the image's)"},                                            \
                {.name = "method",                                                                                               \
                 .type = OPTION_CHOICE,                                                                                          \
                 .argument = "bootstrap|installer",                                                                              \
                 .help = "build the root filesystem on the host (default), or have debian-installer do it in the VM"},           \
                {.name = "proxy",                                                                                                \
                 .type = OPTION_STRING,                                                                                          \
                 .argument = "URL",                                                                                              \
                 .help = "HTTP proxy while the VM is made (default: the preseed's, else http_proxy)"},                           \
                {.name = "show", .type = OPTION_FLAG, .help = "show the console of debian-installer"},                           \
                {.name = "keep", .type = OPTION_FLAG, .help = "after a failure keep what was made so far, to look into it"},     \
                {.name = "channel",                                                                                              \
                 .type = OPTION_CHOICE,                                                                                          \
                 .argument = "auto|virtio|ssh",                                                                                  \
                 .help = "how the agent in the VM is reached (default: auto, which is virtio); ssh needs an SSH server in the "  \
                         "VM"},                                                                                                  \
                {.name = "ssh-port",                                                                                             \
                 .type = OPTION_STRING,                                                                                          \
                 .argument = "auto|N",                                                                                           \
                 .help = "forward this port of 127.0.0.1, or a free one at each start, to the VM's SSH server (needs passt on "  \
                         "the host)"},                                                                                           \
        {                                                                                                                        \
                .name = "accel", .type = OPTION_CHOICE, .argument = "auto|kvm|tcg",                                              \
                .help = "how the CPU is virtualised (default: auto, which tries KVM)"                                            \
        }

/* The call's parameters from those options. */
int vm_create_parameters(const struct invocation *inv, struct json_object **ret, struct error *err);

/* An object {"name": NAME} to go on with. */
struct json_object *vm_parameters(const struct invocation *inv);

/* The long calls. `parameters` is taken, *ret_vm owned. Return 0, -1, or the exit status after a signal (operation.h). */
int vm_run_create(struct client *c, const struct invocation *inv, struct json_object *parameters, struct json_object **ret_vm,
                  struct error *err);
int vm_run_start(struct client *c, const struct invocation *inv, struct json_object **ret_vm, struct error *err);
int vm_run_stop(struct client *c, const struct invocation *inv, struct json_object **ret_vm, struct error *err);

/* The VM as the daemon sees it (owned). */
int vm_status(struct client *c, const struct invocation *inv, struct json_object **ret, struct error *err);

/* Running, with the agent connected: what start is for. */
bool vm_is_ready(struct json_object *vm);

/* "initvm" or "initvm -n NAME": how the next command on this VM begins. Owned. */
char *vm_prefix(const struct invocation *inv);

/* For machines the last line is {"vm": {...}}. */
void vm_print_json(struct json_object *vm);

/* After start, restart and ensure: one sentence and the next command. `verb` as in "is running". */
void vm_tell_running(const struct invocation *inv, struct json_object *vm, uint64_t took_ms);
