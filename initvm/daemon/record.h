/* SPDX-License-Identifier: MIT */
/* vm.json: what is known of a VM beside libvirt.  Written whole, by rename; what changes at run time is never in it but for
 * `reason`, which explains the last stop. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct vm_record {
        char *name;
        char *uuid;  /* libvirt's and the SMBIOS one */
        char *image; /* of the image description it was made from */
        char *suite;
        char *architecture; /* Debian's name */
        char *hostname;
        char *command_line; /* of the kernel, without console= */
        char *acceleration; /* auto, kvm or tcg: what the user asked for */
        char *channel;      /* how the agent is reached: virtio, ssh, or auto, which is virtio; NULL is auto */
        bool ssh_forward;   /* a port of 127.0.0.1 leads to the guest's SSH server */
        uint64_t ssh_port;  /* ... this one; 0: one that is free at the start */
        uint64_t memory;    /* bytes */
        uint64_t cpus;
        uint64_t size;     /* virtual size of buildenv.img in bytes */
        uint64_t created;  /* Unix time in seconds */
        char *boot_folder; /* where in its folder kernel and initrd are; NULL: in it itself, as create has left them */
        char *boot_id;     /* which ones these are (initvm-agent --boot); NULL: the guest was not asked yet */
        char *reason;      /* of the last stop; NULL while it runs or before the first start */
        uint64_t started;  /* Unix time of the last start; 0 when it was stopped properly since */
};

int vm_record_load(struct vm_record *r, const char *folder, struct error *err);
int vm_record_save(const struct vm_record *r, const char *folder, struct error *err);
void vm_record_done(struct vm_record *r);

bool vm_record_by_ssh(const struct vm_record *r); /* the agent is reached by SSH */
