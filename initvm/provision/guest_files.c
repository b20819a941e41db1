/* SPDX-License-Identifier: MIT */
#include "provision/guest_files.h"

#include "base/embed.h"

EMBED(guest_finish_script, "provision/finish.sh");
EMBED(guest_agent_unit, "agent/initvm-agent.service");

/*
 * Every network card of its own (no bridge, no container's end of a cable) asks DHCP.  The host's name is the preseed's.
 */
const char guest_network[] = "[Match]\n"
                             "Type=ether\n"
                             "Kind=!*\n"
                             "\n"
                             "[Network]\n"
                             "DHCP=yes\n"
                             "\n"
                             "[DHCPv4]\n"
                             "UseHostname=no\n"
                             "\n"
                             "[DHCPv6]\n"
                             "UseHostname=no\n";

/* A machine without network boots all the same. */
const char guest_wait_online[] = "[Service]\n"
                                 "ExecStart=\n"
                                 "ExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=20\n";

/* Whoever has the console has the machine: it belongs to the VM's owner alone. */
const char guest_console_login[] =
        "[Service]\n"
        "ExecStart=\n"
        "ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200,57600,38400,9600 - $TERM\n";

/*
 * Nobody guesses a password here: keys only.  The second file of keys is written by the host when it first needs it, so that the
 * user's own stays as it is.  One host key is enough for every client of this century, and is made quickly under emulation.  The
 * server listens on all addresses, as Debian has it: behind QEMU's user network only the VM itself, and a forwarded port of
 * the host, can reach it.
 */
const char guest_sshd[] = "PasswordAuthentication no\n"
                          "KbdInteractiveAuthentication no\n"
                          "PermitRootLogin prohibit-password\n"
                          "HostKey /etc/ssh/ssh_host_ed25519_key\n"
                          "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/initvm_authorized_keys\n";
