/* SPDX-License-Identifier: MIT */
/*
 * The running agent's part of agent/binfmt.h: in a guest it starts that program once a boot, and says Hello again whenever
 * BINFMT_STATE is written anew.
 *
 * The first Hello does not wait for it.  It is what a start of the VM waits for, and where the VM is emulated the emulators of
 * eleven architectures take seconds to start in it.
 */
#pragma once

#include "agent/agent.h"

/* Once agent->mux is there. Sets agent->binfmt. Only the agent of a guest, at its port or where it is installed, changes
 * anything: one that is tried elsewhere leaves the machine as it is. */
void binfmt_watch_start(struct agent *agent);
void binfmt_watch_free(struct binfmt_watch *w); /* NULL is fine */
