/* SPDX-License-Identifier: MIT */
/* Which boot of this machine this is: /proc/sys/kernel/random/boot_id, random(4). */
#pragma once

/* Owned; "" when it cannot be read. */
char *boot_id(void);
