/* SPDX-License-Identifier: MIT */
/* The size of a VM's disk, as the image itself has it. */
#pragma once

#include <stdint.h>

/* Bytes that the guest sees of buildenv.img in the folder; 0: that cannot be told. Reads the image's header only (QEMU's
 * docs/interop/qcow2.txt), which is right at every moment, whoever works with the image. */
uint64_t disk_size(const char *vm_folder);
