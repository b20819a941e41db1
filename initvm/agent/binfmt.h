/* SPDX-License-Identifier: MIT */
/*
 * What the guest can execute of other architectures: found out, mended and proven by the agent's program as a process of its own,
 * `initvm-agent --binfmt` (initvm-agent(8)), so that nothing of it is the running agent's.  What was found is kept for the boot
 * in BINFMT_STATE.
 */
#pragma once

#include "base/json.h"
#include "binfmt/state.h"

/* argv[0] is "--binfmt". Returns the exit status. */
int binfmt_main(int argc, char **argv);

/* What the last of them has found: the member `binfmt` of Hello, an owned array; NULL when there was none in this boot. */
struct json_object *binfmt_state(void);
