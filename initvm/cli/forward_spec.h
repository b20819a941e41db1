/* SPDX-License-Identifier: MIT */
/* What the user says of one forward: [LOCAL:]REMOTE, LOCAL on the host and REMOTE in the VM. */
#pragma once

#include "base/address.h"

struct forward_spec {
        struct address local;
        struct address remote;
};

/*
 * Each end is PORT, HOST:PORT, [IPv6]:PORT, or the absolute path of a unix socket; a path that is not the last thing has no
 * colon. A port alone means this machine itself: 127.0.0.1 where it is listened on, localhost where it is connected to.  Without
 * LOCAL it is the port of REMOTE.  Port 0 is any free one, and only possible where it is listened on: locally, with `reverse`
 * remotely. The host listens on loopback addresses only, unless `any_address`.  ERR_INVALID says what is wrong.
 */
int forward_spec_parse(const char *text, bool reverse, bool any_address, struct forward_spec *ret, struct error *err);
