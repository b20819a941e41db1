/* SPDX-License-Identifier: MIT */
/* The libvirt domain of a VM as XML (libvirt.org/formatdomain.html): a pure function, checked against golden files. */
#pragma once

#include "daemon/machine.h"
#include "daemon/record.h"

#include <stdbool.h>

struct domain_options {
        const char *folder;      /* where buildenv.img is */
        const char *boot_folder; /* where kernel and initrd are; NULL: the boot loader on the disk starts it */
        const char *installer;   /* the kernel's options when this is an installation: a second serial port with its log, recorded
                                    as   installer.log, and a reboot is its end; NULL: it is not */
        bool kvm;                /* KVM, else software emulation */
        unsigned tsc_khz;        /* the rate of the host's time stamp counter (tsc.h); 0: not known */
        bool unsafe_writes;      /* cache=unsafe: only while the image is being made and would be thrown away on failure */
        bool no_port;            /* without the agent's virtio-serial port: it is reached by SSH */
        uint16_t ssh_port;       /* of 127.0.0.1, leads to port 22 of the guest; 0: none */
        uint16_t net_port;       /* of 127.0.0.1, where the network is that has it (passt.h) */
};

/* Owned. Every string of the record is escaped. */
char *domain_xml(const struct vm_record *record, const struct machine *machine, const struct domain_options *options);

/* Out of the XML of a running domain, as libvirt prints it, where it is kept as metadata: ssh_port, 0 when there is none. */
uint16_t domain_xml_ssh_port(const char *xml);

/* The name of the agent's virtio-serial port, in the guest /dev/virtio-ports/<name>. */
#define AGENT_PORT_NAME "org.initvm.agent.0"
