/* SPDX-License-Identifier: MIT */
/*
 * How much of a job's time goes by under qemu-user.  Nobody counts that: a process that has ended leaves its CPU time in its
 * control group, and not what program it was.  So now and then is looked which of the job's threads want a CPU, and whose they
 * are.
 */
#pragma once

#include <stdint.h>

/* How often it is looked: a hundred programs of an ordinary build cost it less than a hundredth of an emulated CPU. */
#define EMULATION_SAMPLE_MS 500

struct emulation {
        uint64_t running,
                emulated; /* threads that were running or ready to, in all samples; those of them under an interpreter */
};

/* One sample more. `cgroup`: the folder of a cgroup2, whose sub-groups count as well; the caller itself does not. */
void emulation_sample(struct emulation *e, const char *cgroup);
