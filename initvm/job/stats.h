/* SPDX-License-Identifier: MIT */
/* What a control group has used (Linux: Documentation/admin-guide/cgroup-v2.rst); 0 for what cannot be read. */
#pragma once

#include <stdint.h>

struct stats {
        uint64_t cpu_us;
        uint64_t memory, memory_peak; /* bytes */
        uint64_t read, written;       /* bytes, of all disks; what was written is counted when it goes there */
        uint64_t oom_kills;           /* processes */
};

/* `cgroup`: its folder. */
void stats_read(const char *cgroup, struct stats *ret);

/* The parts, for files of these texts: "KEY N" a line, and the sum of all " KEY=N". */
uint64_t stats_value(const char *text, const char *key);
uint64_t stats_sum(const char *text, const char *key);
