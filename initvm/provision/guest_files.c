/* SPDX-License-Identifier: MIT */
/* Files that go into the machine as they are, carried inside this program: nothing to look for, nothing of another version. */
#include "provision/guest.h"

#define EMBED(symbol, file)                                                                                                      \
        __asm__(".pushsection .rodata\n"                                                                                         \
                ".global " #symbol "\n"                                                                                          \
                ".type " #symbol ", %object\n" #symbol ":\n"                                                                     \
                ".incbin \"" file "\"\n"                                                                                         \
                ".byte 0\n"                                                                                                      \
                ".size " #symbol ", . - " #symbol "\n"                                                                           \
                ".popsection\n")

EMBED(guest_finish_script, "provision/finish.sh");
#if __has_include("agent/initvm-agent.service")
EMBED(guest_agent_unit, "agent/initvm-agent.service");
#else
const char guest_agent_unit[] = "[Unit]\n"
                                "Description=initvm agent\n"
                                "DefaultDependencies=no\n"
                                "[Service]\n"
                                "ExecStart=/usr/lib/initvm/initvm-agent\n"
                                "[Install]\n"
                                "WantedBy=sysinit.target\n";
#endif
