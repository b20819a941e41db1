/* SPDX-License-Identifier: MIT */
/* Executes proof programs (binfmt/proof.h) as the guest would execute any program: through the kernel, with what is registered.
 */
#pragma once

#include "binfmt/architecture.h"

/* Each. Where the guest itself is emulated an emulator takes a second to start, of a CPU that may be busy. */
#define PROOF_DEADLINE_MS 30000

struct proof_run {
        const struct architecture *architecture;
        bool proven;      /* ret: it exited with PROOF_STATUS */
        char *text;       /* ret, owned: "exit status 42 after 31 ms", or why not */
        unsigned took_ms; /* ret */
};

/* Runs all of them, as many at the same time as there are CPUs, and returns when all have ended; one that is late is killed. */
void proofs_run(struct proof_run *runs, size_t n);
