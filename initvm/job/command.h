/* SPDX-License-Identifier: MIT */
/*
 * The agent's program as the keeper of build jobs, `initvm-agent --job COMMAND`: the host runs it like any command, as root.  See
 * initvm-agent(8).
 *
 * Every command may be called again: it does then what is still to be done.  Results are lines of JSON on standard output;
 * errors, heartbeats and checksums are reports (archive/report.h) on standard error.  Of `run` both belong to the command: there
 * an error is one line "initvm: ..." and an exit status of 124 to 127.
 */
#pragma once

/* argv[0] is "--job". Returns the exit status. */
int job_main(int argc, char **argv);
