#!/bin/sh
# SPDX-License-Identifier: MIT
# In the installer, right after its log has begun: the log also goes to the second serial port, which the host records and reads.
# Of the talk with debconf only what is asked is told: answers may be passwords.
tail -n +1 -f /var/log/syslog </dev/null 2>/dev/null |
	awk '/ debconf \(developer\): / { next }
		!/ debconf: (-->|<--) / || / --> (INPUT|GO)/ || / <-- (0 ok|0 question|30 question)/ { print; fflush() }' >/dev/ttyS1 &
