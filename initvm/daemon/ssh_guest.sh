#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in the guest, as root: lets the public key $1 in, has the SSH server run, and tells what a client must know of the SSH server, one `name value` a
# line.  What is missing is told, too, and is no failure of this script.
set -eu

keys=/etc/ssh/initvm_authorized_keys

if ! [ -x /usr/sbin/sshd ]; then
        echo 'missing sshd'
        exit
fi
if ! grep -qsF "$keys" /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; then
        echo 'missing keys-file'
        exit
fi
# Whole or not at all, and readable: sshd reads it as the user who logs in.
if [ "$(cat "$keys" 2>/dev/null)" != "$1" ]; then
        umask 022
        printf '%s\n' "$1" >"$keys.new"
        mv "$keys.new" "$keys"
fi
# Shortly after the boot it may still be starting: this waits for that.
if ! systemctl start ssh.service; then
        echo 'missing server'
        exit
fi
for file in /etc/ssh/ssh_host_*_key.pub; do
        [ -r "$file" ] || continue
        read -r type key _ <"$file"
        echo "host-key $type $key"
done
