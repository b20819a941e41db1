/* SPDX-License-Identifier: MIT */
/*
 * The agent's program as the keeper of the chroots, `initvm-agent --chroot COMMAND`: the host runs it like any command, as root.
 * See initvm-agent(8).
 *
 * Results are lines of JSON on standard output; stages, warnings and errors are reports (archive/report.h) on standard error.  Of
 * run and shell both belong to the command: there an error is one line "initvm: ..." and an exit status of 124 to 127.
 */
#pragma once

/* argv[0] is "--chroot". Returns the exit status. */
int chroot_main(int argc, char **argv);
