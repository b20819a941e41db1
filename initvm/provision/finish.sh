#!/bin/sh
# SPDX-License-Identifier: MIT
# Ends the provisioning inside the machine, at its first boot: one step for each call.  A step that fails ends with another
# status than 0, and what it wrote last says why.
#
# The preseed's commands find here what they find in debian-installer: the new system below /target, in-target,
# apt-install and log-output.
set -eu

files=/usr/lib/initvm
tools=$files/tools # not below /run: Debian's initrd mounts that noexec

export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

fail() {
        echo "finish: $*" >&2
        exit 1
}

tool() {
        cat >"$tools/$1"
        chmod 0755 "$tools/$1"
}

installer_environment() {
        mkdir -p "$tools"
        [ -e /target ] || ln -s / /target
        tool in-target <<'EOF'
#!/bin/sh
[ "${1-}" != --pass-stdout ] || shift
exec "$@"
EOF
        tool apt-install <<'EOF'
#!/bin/sh
for a do
        shift
        case $a in
        --with-recommends | --no-recommends | --allow-downgrade | --allow-remove) ;;
        *) set -- "$@" "$a" ;;
        esac
done
exec apt-get -y -o Dpkg::Use-Pty=0 install "$@"
EOF
        tool log-output <<'EOF'
#!/bin/sh
while :; do
        case ${1-} in
        -t) shift 2 ;;
        --pass-stdout) shift ;;
        *) break ;;
        esac
done
exec "$@"
EOF
}

# Commands may want the network; the wait is bounded by the unit, and its end without network is no failure.
run_command() {
        [ -f "$files/$1" ] || exit 0
        installer_environment
        systemctl start systemd-networkd-wait-online.service || :
        cd /
        PATH=$tools:$PATH /bin/sh "$files/$1"
}

bootloader() {
        root=$(findmnt -n -o SOURCE /)
        disk=/dev/$(lsblk -n -d -o PKNAME "$root")
        [ -b "$disk" ] || fail "the disk of '$root' is not known"
        if [ -d /usr/lib/grub/i386-pc ]; then
                # Where the package puts it when it is upgraded.
                printf '%s\n' "grub-pc grub-pc/install_devices multiselect $disk" \
                        'grub-pc grub-pc/install_devices_empty boolean false' | debconf-set-selections
                grub-install --target=i386-pc "$disk"
        elif [ -d /usr/lib/grub/arm64-efi ]; then
                mountpoint -q /boot/efi || mount /boot/efi
                grub-install --target=arm64-efi --efi-directory=/boot/efi --removable --no-nvram
        else
                fail 'there is no GRUB'
        fi
        update-grub
}

cleanup() {
        if [ -L /target ]; then
                rm -f /target
        fi
        rm -rf "$tools" "$files/early-command" "$files/late-command"
        sync
}

case ${1-} in
early-command | late-command) run_command "$1" ;;
bootloader) bootloader ;;
cleanup) cleanup ;;
*) fail "there is no step '${1-}'" ;;
esac
