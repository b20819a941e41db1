# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Images of disks as other tools make them, without a loop device.

# Makes the raw image $1 of $2 MiB with one ext4 partition for each folder $3..., and a partition table as sfdisk(8) takes it:
# equal parts, the folders' contents in them. The file systems have the UUID `disk_uuid`, if that is set.
make_disk() {
	local image=$1 size=$2 part start=1 number=0 folder
	shift 2
	part=$(((size - 1) / $#))
	truncate -s "${size}M" "$image"
	{
		echo 'label: dos'
		for _; do
			echo "start=${start}MiB, size=$((part))MiB, type=83"
			start=$((start + part))
		done
	} | sfdisk -q "$image"
	for folder; do
		mke2fs -q -F -t ext4 ${disk_uuid:+-U "$disk_uuid"} -d "$folder" -E "offset=$(((1 + number * part) << 20)),root_owner=0:0" "$image" "${part}M"
		number=$((number + 1))
	done
}

# Makes the folder $1 look like the root of a Debian for the architecture $2 (an e_machine of elf(5), in octal, as 076): by what
# inspection goes by.
make_root() {
	mkdir -p "$1"/{bin,etc,usr/lib/systemd,var/lib/dpkg,boot,dev,tmp}
	cat >"$1/etc/os-release" <<-'END'
		PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
		NAME="Debian GNU/Linux"
		VERSION_ID="12"
		VERSION_CODENAME=bookworm
		ID=debian
	END
	echo 12.1 >"$1/etc/debian_version"
	echo elsewhere >"$1/etc/hostname"
	echo '/dev/sda1 / ext4 defaults 0 1' >"$1/etc/fstab"
	: >"$1/var/lib/dpkg/status"
	# the header of a 64-bit program, little endian
	{
		printf '\177ELF\002\001\001'
		printf '\0%.0s' {1..9}
		printf "\003\000\\$2\000\001\000\000\000"
		printf '\0%.0s' {1..40}
	} >"$1/bin/ls"
	cp "$1/bin/ls" "$1/bin/sh"
	cp "$1/bin/ls" "$1/usr/lib/systemd/systemd"
	chmod 755 "$1"/bin/*
}
