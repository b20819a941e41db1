/* SPDX-License-Identifier: MIT */
/*
 * The agent's program as the keeper of a program that the host runs here once, `initvm-agent --run SIZE NAME`: it takes SIZE
 * bytes from standard input into a file NAME in a private folder, says whether and where it can be executed (archive/report.h:
 * {"path"} or an error), and removes everything when its input ends.  The host executes the file with an Exec of its own, so that
 * terminal, signals and status are as always; the input's end is also what it sees when the host goes away.
 */
#pragma once

/* argv[0] is "--run". Returns the exit status. */
int run_main(int argc, char **argv);
