/* SPDX-License-Identifier: MIT */
/* Completion scripts. VMs' names come from `initvm list --names`, which starts no daemon. */
#pragma once

#include "base/util.h"

void completion_bash(struct buf *out);
void completion_zsh(struct buf *out);
void completion_fish(struct buf *out);
