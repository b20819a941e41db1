/* SPDX-License-Identifier: MIT */
/* Files that go into the machine as they are. */
#include "base/embed.h"
#include "provision/guest.h"

EMBED(guest_finish_script, "provision/finish.sh");
EMBED(guest_agent_unit, "agent/initvm-agent.service");
