/* SPDX-License-Identifier: MIT */
/* What is learned of an installed system at its first boot, by its own boot loader, so that all later ones go without that. */
#pragma once

#include "daemon/record.h"

/* The kernel's command line as a record keeps it: what the boot loader passed, but for what names its own file, and what a domain
 * adds by itself (domain_xml.c). Owned. */
char *installed_command_line(const char *proc_cmdline);

/* The same from a file that the guest has written it to. NULL with err when it is empty or cannot be read. */
char *installed_read_command_line(int fd, struct error *err);

/* `fetched` is the record of the VM that was shut down, with kernel and initrd in a folder of their own (vm_boot.h): they become
 * those of a VM as create leaves it. Fails when the guest has not delivered them. */
int installed_take_boot(const struct vm_record *fetched, const char *folder, struct error *err);
