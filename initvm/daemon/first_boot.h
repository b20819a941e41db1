/* SPDX-License-Identifier: MIT */
/* What is learned of a new system at its first boot, so that all later ones go without that: of one that debian-installer has
 * made what its boot loader says, and of all the kernel and initrd that they have when create's commands have run. */
#pragma once

#include "daemon/record.h"

/* The kernel's command line as a record keeps it: what the boot loader passed, but for what names its own file, and what a domain
 * adds by itself (domain_xml.c). Owned. */
char *first_boot_command_line(const char *proc_cmdline);

/* The same from a file that the guest has written it to. NULL with err when it is empty or cannot be read. */
char *first_boot_read_command_line(int fd, struct error *err);

/* `fetched` is the record of the VM that was shut down, with kernel and initrd in a folder of their own (vm_boot.h) when they are
 * others than those in `folder`: they become those of a VM as create leaves it, and `r` says which they are. needed: it is a
 * failure when the guest has not delivered them. */
int first_boot_take_files(const struct vm_record *fetched, bool needed, struct vm_record *r, const char *folder,
                          struct error *err);
