/* SPDX-License-Identifier: MIT */
#pragma once

#include "agent/agent.h"

/* Has systemd power the guest off or reboot it (mode: the systemctl(1) verb). Takes the stream: it is answered when systemd has
 * taken the order, and the agent goes on until systemd stops it. */
void shutdown_start(struct agent *agent, struct stream *stream, const char *mode);
