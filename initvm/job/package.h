/* SPDX-License-Identifier: MIT */
/*
 * Debian packages in a job's chroot: installing some, and building one from a source package or a folder with debian/ as an
 * ordinary user.  The results are beside the source, in the workspace: dpkg-buildpackage(1).
 */
#pragma once

#include "job/place.h"

/* The words of apt-get(8) before the packages' names; ends with NULL. */
extern const char *const package_apt_install[];

/* One command as root, with the network. It fails with `failed` unless the command succeeds. */
int package_step(struct place *p, char *const *argv, const char *failed, struct error *err);
int package_apt_update(struct place *p, struct error *err);

/* What goes wrong before the source is unpacked and built is an error; from then on it is the wait status. */
int package_build(struct place *p, int *ret_wait_status, struct error *err);
