# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The home of the VM that the files share; see tests/lib/vm.bash.

source "${BASH_SOURCE[0]%/*}/../lib/common.bash"

setup_suite() {
	if [ -n "${INITVM_TEST_HOME:-}" ]; then
		export INITVM_HOME=$INITVM_TEST_HOME
		mkdir -p "$INITVM_HOME"
		chmod 711 "$INITVM_HOME"
	else
		new_home
	fi
	export SUITE_HOME=$INITVM_HOME
}

teardown_suite() {
	[ -n "${INITVM_TEST_HOME:-}" ] || INITVM_HOME=$SUITE_HOME remove_home
}
