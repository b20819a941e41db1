/* SPDX-License-Identifier: MIT */
/* The libvirt domain of a VM as XML (libvirt.org/formatdomain.html): a pure function, checked against golden files. */
#pragma once

#include "daemon/machine.h"
#include "daemon/record.h"

#include <stdbool.h>

struct domain_options {
        const char *folder; /* where buildenv.img, kernel and initrd are */
        bool kvm;           /* KVM, else software emulation */
        bool unsafe_writes; /* cache=unsafe: only while the image is being made and would be thrown away on failure */
};

/* Owned. Every string of the record is escaped. */
char *domain_xml(const struct vm_record *record, const struct machine *machine, const struct domain_options *options);

/* The name of the agent's virtio-serial port, in the guest /dev/virtio-ports/<name>. */
#define AGENT_PORT_NAME "org.initvm.agent.0"
