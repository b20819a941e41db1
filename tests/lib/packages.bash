# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Debian's packages as files.

# Fetches packages of Debian 12, or of the suite in `suite`, as NAME:ARCHITECTURE into the folder $1, and unpacks them there,
# without regard to what apt on this machine is set up for.
fetch_packages() {
	local folder=$1 package options
	shift
	mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
	: >"$folder/apt/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian ${suite:-bookworm} main" >"$folder/apt/list"
	options=(-q -o "Dir::Etc::SourceList=$folder/apt/list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State=$folder/apt"
		-o "Dir::State::Status=$folder/apt/status" -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User= -o Acquire::Languages=none
		-o "APT::Architecture=${1#*:}")
	apt-get "${options[@]}" update &&
		(cd "$folder" && apt-get "${options[@]}" download "${@%%:*}") || return 1
	for package in "$folder"/*.deb; do
		dpkg-deb -x "$package" "$folder"
	done
}

# An address of this host that both itself and its guests reach.
host_address() { hostname -I | cut -d ' ' -f 1; }

# Starts tests/lib/mirror.py over the folder $1; sets mirror_pid and mirror_url.
# shellcheck disable=SC2034
start_mirror() {
	"$TREE/tests/lib/mirror.py" "$1" "$1/requests" "$1/port" >/dev/null 2>&1 3>&- &
	mirror_pid=$!
	wait_path "$1/port"
	mirror_url=http://$(host_address):$(cat "$1/port")
}
