/* SPDX-License-Identifier: MIT */
#pragma once

#include "io/loop.h"

/* Reaps a child of ours that nobody waits for any more, whenever it ends. */
void reaper_take(struct loop *loop, pid_t pid);
