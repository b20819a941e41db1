/* SPDX-License-Identifier: MIT */
/* The state of a service for systemd, as sd_notify(3) has it: that page describes the protocol, and libsystemd is not there as a
 * static library. */
#pragma once

/* "WATCHDOG=1". Nothing when nobody asked to be told ($NOTIFY_SOCKET). */
void notify(const char *state);
