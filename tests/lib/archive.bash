# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A small archive for the checks that come before an installation: indexes only, signed, of whatever is to be wrong with it.

# The installer's kernel that installer_image() makes, and the packages that its preflight wants to install.
INSTALLER_KERNEL=6.1.0-99-amd64
export INSTALLER_KERNEL

# Makes a key of its own in the folder $1: $1/keyring.gpg.
make_key() {
	mkdir -m 700 "$1"
	GNUPGHOME=$1 gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key 'archive <archive@example>' rsa3072 sign never
	GNUPGHOME=$1 gpg --batch --quiet --export >"$1/keyring.gpg"
	GNUPGHOME=$1 gpgconf --kill all
}

# Makes the archive in the folder $1, signed with the key in $2, its components for the kernel $3, with the further lines $4... in its
# Release file. What is in the components' index is there to be fetched.
make_archive() {
	local folder=$1 key=$2 kernel=$3 package file
	shift 3
	mkdir -p "$folder"/dists/trixie/main/{binary-amd64,debian-installer/binary-amd64} "$folder/pool"
	for package in passwd login e2fsprogs fdisk udev kmod procps less tzdata systemd-timesyncd systemd-sysv linux-image-amd64; do
		printf 'Package: %s\nVersion: 1\nArchitecture: all\nFilename: pool/%s.deb\nSize: 1\nSHA256: %064d\n\n' "$package" "$package" 0
	done >"$folder/dists/trixie/main/binary-amd64/Packages"
	for package in "kernel-image-$kernel-di" "ext4-modules-$kernel-di"; do
		echo "$package" >"$folder/pool/$package.udeb"
		printf 'Package: %s\nVersion: 2\nArchitecture: amd64\nPriority: standard\nKernel-Version: %s\n' "$package" "$kernel"
		printf 'Filename: pool/%s.udeb\nSize: %s\nSHA256: %s\n\n' "$package" "$(stat -c %s "$folder/pool/$package.udeb")" \
			"$(sha256sum <"$folder/pool/$package.udeb" | cut -d ' ' -f 1)"
	done >"$folder/dists/trixie/main/debian-installer/binary-amd64/Packages"
	(
		cd "$folder/dists/trixie" || exit
		{
			printf 'Origin: test\nSuite: trixie\nCodename: trixie\nArchitectures: amd64\nComponents: main main/debian-installer\n'
			[ $# -eq 0 ] || printf '%s\n' "$@"
			[[ "$*" == *Date:* ]] || printf 'Date: %s\n' "$(LC_ALL=C date -Ru)"
			printf 'SHA256:\n'
			find main -name Packages | while read -r file; do
				printf ' %s %s %s\n' "$(sha256sum <"$file" | cut -d ' ' -f 1)" "$(stat -c %s "$file")" "$file"
			done
		} >Release
		GNUPGHOME=$key gpg --batch --quiet --yes --clearsign -o InRelease Release
		GNUPGHOME=$key gpgconf --kill all
	)
}

# Describes an image 'net' whose mirror is the URL $1 and whose archive has the keyring $2, with an installer that is nothing but its
# list of components.
installer_image() {
	local tree=$BATS_TEST_TMPDIR/installer
	mkdir -p "$tree/var/lib/dpkg" "$INITVM_HOME/config/images"
	printf 'Package: kernel-image-%s-di\nStatus: install ok installed\nVersion: 1\n' "$INSTALLER_KERNEL" >"$tree/var/lib/dpkg/status"
	(cd "$tree" && find . | cpio --quiet -o -H newc | gzip -1) >"$BATS_TEST_TMPDIR/initrd.gz"
	echo kernel >"$BATS_TEST_TMPDIR/linux"
	cat >"$INITVM_HOME/config/images/net.json" <<-END
		{"description": "a test", "suite": "trixie", "version": "13", "architecture": "amd64",
		 "mirrors": {"main": {"uri": "$1", "suite": "trixie", "components": ["main"]}},
		 "keyring": {"file": "$2", "package": "none"}, "kernel": "linux-image-amd64", "packages": ["systemd-sysv"],
		 "installer": {"kernel": "$BATS_TEST_TMPDIR/linux", "initrd": "$BATS_TEST_TMPDIR/initrd.gz"}}
	END
}
