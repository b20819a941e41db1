#!/bin/sh
# SPDX-License-Identifier: MIT
#
# build.sh FOLDER RESULT [ROOT...] -- [OPTION...]
#
# The steps of `--chroot build`, with all images and containers of buildah in FOLDER, which goes with what is in it. In it are Dockerfile
# and context/. The ROOTs become the images that Dockerfile names; the OPTIONs are buildah-build(1)'s; what was built is copied into
# the empty folder RESULT.
set -eu

folder=$1 result=$2
shift 2

run_buildah() {
	buildah --root "$folder/storage" --runroot "$folder/run" --storage-driver overlay "$@"
}

number=0
while [ "$1" != -- ]; do
	echo "IMPORT $1"
	container=$(run_buildah from scratch)
	mounted=$(run_buildah mount "$container")
	cp -a "$1/." "$mounted/"
	run_buildah commit --quiet --rm "$container" "localhost/initvm-base-$number" >/dev/null
	number=$((number + 1))
	shift
done
shift

run_buildah build --isolation chroot --pull-never --file "$folder/Dockerfile" --tag localhost/initvm-result "$@" "$folder/context"

echo STORE
container=$(run_buildah from --pull-never localhost/initvm-result)
mounted=$(run_buildah mount "$container")
cp -a "$mounted/." "$result/"
chmod 0755 "$result" # buildah's own layers have another mode
for file in hosts hostname resolv.conf; do # the places where it shows those of the VM
	[ -s "$result/etc/$file" ] || rm -f "$result/etc/$file"
done
rmdir "$result/run/initvm-native" 2>/dev/null || true # as is the one where programs of the VM were mounted
