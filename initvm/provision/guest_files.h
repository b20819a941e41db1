/* SPDX-License-Identifier: MIT */
/* Files that go into every machine as they are, however its system was made; image/ puts them into those that it adopts. */
#pragma once

#define GUEST_AGENT_FOLDER "/usr/lib/initvm"
#define GUEST_AGENT        GUEST_AGENT_FOLDER "/initvm-agent"
#define GUEST_AGENT_UNIT   "/etc/systemd/system/initvm-agent.service"
extern const char guest_agent_unit[];

/* The steps of the first boot that bootstrap wants. */
extern const char guest_finish_script[];

/* systemd.network(5), and a drop-in of systemd-networkd-wait-online.service. */
#define GUEST_NETWORK     "/etc/systemd/network/80-initvm.network"
#define GUEST_WAIT_ONLINE "/etc/systemd/system/systemd-networkd-wait-online.service.d/initvm.conf"
extern const char guest_network[];
extern const char guest_wait_online[];

/* A drop-in of serial-getty@.service, and sshd_config(5). */
#define GUEST_CONSOLE_LOGIN "/etc/systemd/system/serial-getty@.service.d/initvm.conf"
extern const char guest_console_login[];
extern const char guest_sshd[];
