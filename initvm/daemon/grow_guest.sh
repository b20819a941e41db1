#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in the guest, as root, when its disk has grown: lets the root partition and its file system have what is new, while they are
# in use, and prints the size of the file system in bytes, as the last line.  Run again, it goes on where it was interrupted.
set -eu
exec 2>&1 # of two streams nobody knows which line was the last

fail() {
        echo "$1"
        exit 1
}

root=$(findmnt -n -v -o SOURCE /) # without the subvolume behind it
kind=$(findmnt -n -o FSTYPE /)
name=${root#/dev/}
[ -e "/sys/class/block/$name/partition" ] || fail "the root file system is on '$root', and not in a partition of the disk"
number=$(cat "/sys/class/block/$name/partition")
disk=$(basename "$(readlink -f "/sys/class/block/$name/..")")
command -v sfdisk >/dev/null || fail "there is no sfdisk in the guest: 'apt install fdisk' in it brings that"
for partition in "/sys/class/block/$disk/$disk"*; do
        [ "$(cat "$partition/start")" -le "$(cat "/sys/class/block/$name/start")" ] ||
                fail "the root partition is not the last one of the disk, so that it cannot be grown"
done

# sfdisk(8), "-N": of this partition only; the start stays, the size becomes what there is.  The kernel is told by partx(8), because
# nobody can have it read the table of a disk that is in use.
echo ', +' | sfdisk --quiet --no-reread --no-tell-kernel --force --partno "$number" "/dev/$disk"
partx --update --nr "$number" "/dev/$disk"
case $kind in
ext[234]) resize2fs "$root" ;;
xfs) xfs_growfs / ;;
btrfs) btrfs filesystem resize max / ;;
*) fail "a file system of the kind $kind cannot be grown" ;;
esac
echo "filesystem $(df --output=size -B1 / | tail -n 1 | tr -dc 0-9)"
