/* SPDX-License-Identifier: MIT */
/* What a console showed, made fit to be shown again. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Takes out of n bytes, in place, the questions that a program asked its terminal (device status, attributes, sizes, modes,
 * colours: xterm's "Control Sequences").  A viewer's terminal would answer them now, and the answers would be typed into whatever
 * runs in the guest.  Returns how many bytes are left.
 */
size_t replay_without_queries(uint8_t *data, size_t n);
