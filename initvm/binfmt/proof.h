/* SPDX-License-Identifier: MIT */
/*
 * A program of a few instructions for each architecture: a static ELF executable that exits with PROOF_STATUS when it was
 * executed by something that runs its instructions, and called with nothing but argv[0].
 *
 * The status is its argc, as it finds it on its stack, plus 41.  So it also tells an emulator that does not know of the flag P of
 * binfmt_misc: that one takes the kernel's additional argument for one of the program's.
 */
#pragma once

#include "binfmt/architecture.h"

#define PROOF_STATUS   42
#define PROOF_SIZE_MAX 160 /* two headers of at most 64 and 56 bytes, and the instructions */

/* Writes the program; returns its size. It uses no data and no library, and is loaded at a fixed address. */
size_t proof_program(const struct architecture *a, uint8_t ret[PROOF_SIZE_MAX]);
