#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What can be installed, and what is wrong with a file that cannot be.

load ../lib/common

setup_file() { new_home; }
teardown_file() { remove_home; }

setup() { rm -f "$INITVM_HOME/config/images"/*; }

host=$(dpkg --print-architecture)

# A user's image: the shipped one of the host's newest suite with one thing changed by a Python statement on `d`.
user_image() {
	/usr/bin/python3 - "$TREE/images/debian-13-$host.json" "$INITVM_HOME/config/images/$1.json" "$2" <<-'END'
		import json, sys
		d = json.load(open(sys.argv[1]))
		exec(sys.argv[3])
		json.dump(d, open(sys.argv[2], "w"))
	END
}

@test "the shipped images are listed; the default is the newest stable of this architecture" {
	run initvm images
	expect 0
	local suite
	for suite in 12 13; do
		[[ $output == *"debian-$suite-amd64"* && $output == *"debian-$suite-arm64"* ]]
	done
	initvm images --json | /usr/bin/python3 -c '
import json, sys
images = [json.loads(line) for line in sys.stdin]
assert [i["name"] for i in images if i["default"]] == [sys.argv[1]], images' "debian-13-$host"
}

@test "a user's image of the same name comes first, and only it is listed" {
	user_image "debian-13-$host" 'd["description"] = "mine alone"'
	run initvm images
	expect 0 'mine alone'
	[ "$(grep -c "debian-13-$host" <<<"$output")" -eq 1 ]
}

@test "a user's image of a new name is listed beside the shipped ones" {
	user_image extra 'd["description"] = "something else"'
	run initvm images
	expect 0 'extra'
	[[ $output == *"debian-13-$host"* ]]
}

@test "a broken image names file and field, and does not hide the others" {
	user_image broken 'd["suite"] = 13'
	run initvm images
	expect 0 "debian-13-$host"
	[[ $output == *broken.json* && $output == *"'suite'"* ]]

	user_image broken 'del d["architecture"]'
	run initvm images
	[[ $output == *broken.json* && $output == *"'architecture'"* ]]

	user_image broken 'd["colour"] = "red"'
	run initvm images
	[[ $output == *broken.json* && $output == *"'colour'"* ]]

	echo '{"suite": ' >"$INITVM_HOME/config/images/broken.json"
	run initvm images
	[[ $output == *broken.json* ]]
	expect 0 "debian-13-$host"
}

@test "create with a broken image names file and field, and makes nothing" {
	user_image broken 'd["kernel"] = []'
	run initvm create --image broken
	expect 2 "'kernel'"
	[[ $output == *broken.json* ]]
	[ -z "$(entries vms)$(entries creating)" ]
}
