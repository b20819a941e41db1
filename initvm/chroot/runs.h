/* SPDX-License-Identifier: MIT */
/*
 * Whether the programs of a chroot run here at all.  Where they do not, its commands would only say "Exec format error", or
 * whatever a broken emulator says.
 */
#pragma once

#include "chroot/store.h"

/* ERR_UNSUPPORTED when programs of that architecture (NULL: not known), or of that chroot, were tried in this boot and do not
 * run: binfmt/state.h. */
int runs_check(const char *architecture, struct error *err);
int runs_check_chroot(const struct store *s, const char *name, struct error *err);
