/* SPDX-License-Identifier: MIT */
/* The record of a VM's serial console. */
#pragma once

#include "cli/command.h"
#include "io/client.h"

/* Prints it to standard output, the rotated part first. Returns the exit status, or -1 with *err. */
int console_log_print(struct client *c, const struct invocation *inv, struct error *err);

/* Copies a file to standard output: 1 when it was there, 0 when not, -1 with *err. */
int print_file(const char *path, struct error *err);
