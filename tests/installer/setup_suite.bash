# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The installer that the files share, made once: $INSTALLER/linux and $INSTALLER/initrd.gz.  INITVM_TEST_CACHE=/some/folder keeps it.

source "${BASH_SOURCE[0]%/*}/../lib/common.bash"

setup_suite() {
	export INSTALLER=${INITVM_TEST_CACHE:-$BATS_SUITE_TMPDIR}/installer
	[ -e "$INSTALLER/initrd.gz" ] || "${BASH_SOURCE[0]%/*}/testbed" "$INSTALLER"
}
