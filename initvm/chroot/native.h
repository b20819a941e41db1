/* SPDX-License-Identifier: MIT */
/*
 * Native helpers: programs of the VM that stand in for the same ones of a foreign chroot, where these would be emulated.
 *
 * They are laid out once (native_cache.h) in a folder that is mounted read-only at NATIVE_FOLDER for as long as the chroot is in
 * use:
 *
 *   bin/NAME        in front of PATH, for whoever is to find them: what dpkg(1) calls, and nothing that a build might look for
 *   backend/NAME    in front of PATH of dpkg-deb only: what that calls
 *   methods/NAME    called by apt, by apt.conf
 *   programs/, lib/ the VM's programs, loader and libraries
 *   launcher        the agent's own program; bin, backend and methods hold links to it
 *   table           for each: the chroot's own program, by path, size and time
 *   apt.conf        for APT_CONFIG, apt.conf(5)
 *
 * No file of the chroot is hidden or changed: what is looked at, copied, verified or replaced in it is its own.  A program stands
 * in only for one of the same release series, for making packages of the very same version, and only as long as the chroot's own
 * is the one that was seen at the beginning; otherwise, and whenever the environment might make a difference (native_call.c), the
 * chroot's own runs.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* Below /run, which in a chroot in use is a file system of its own: the mount point is gone with it. */
#define NATIVE_FOLDER "/run/initvm-native"

/* A program that stands in, by name, the same path in the VM and in the chroot, the package whose versions are compared, and
 * the folder of links that it is called by. */
struct native_program {
        const char *name, *path, *package, *place;
};
extern const struct native_program native_programs[];

/* Makes the new folder `folder`, for the chroot at `root`, which it only reads. Returns how many programs stand in; 0 when there
 * is nothing to gain, and then also no folder: it is none of Debian, of the VM's own architecture, or of other versions. */
int native_lay_out(const char *folder, const char *root, struct error *err);

/* What makes apt, and what it calls, find them: apt.conf(5). */
#define NATIVE_APT_CONFIG "APT_CONFIG=" NATIVE_FOLDER "/apt.conf"

/* What makes programs find them: PATH and APT_CONFIG. An APT_CONFIG that is set already is left alone. */
void native_environment(char ***environment);

/* Whether this program was started by one of the links, and its main() then. It does not come back. */
bool native_called(void);
int native_main(int argc, char **argv);

/* `--chroot-native FOLDER ROOT`, a hook of mmdebstrap(1): lays them out and mounts them in a chroot that is being made. Returns
 * the exit status. */
int native_hook_main(int argc, char **argv);
