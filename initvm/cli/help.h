/* SPDX-License-Identifier: MIT */
/* Help, made from the tables of the commands. */
#pragma once

#include "base/util.h"
#include "cli/command.h"

void help_overview(struct buf *out);
void help_command(const struct command *c, struct buf *out);

/* "initvm start [options] [NAME]" */
void help_usage(const struct command *c, struct buf *out);
