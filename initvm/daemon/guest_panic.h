/* SPDX-License-Identifier: MIT */
/* Why a guest has rebooted: whether its kernel panicked, by what its console showed last. No device tells that on every machine.
 */
#pragma once

#include <stddef.h>

/* `text`: the console's end at the moment of the reboot, after which no kernel has begun yet. Owned: one sentence with the
 * kernel's reason, and the lines before it; NULL when there is no panic in it. */
char *guest_panic_find(const char *text, size_t n);
