/* SPDX-License-Identifier: MIT */
/*
 * The rate of this host's time stamp counter, which emulated x86 guests see as theirs (QEMU's cpu_get_host_ticks()).  They are
 * told (tsc_early_khz= in the kernel's admin-guide/kernel-parameters): measured by a guest's own boot on a busy host it may be
 * wrong by far, and then the guest's clock runs several times too fast.
 */
#pragma once

/* Begins to measure. */
void tsc_begin(void);

/* In kHz, over the time since tsc_begin(); 0 when it is not known, and on other CPUs. */
unsigned tsc_khz(void);
