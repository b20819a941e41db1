/* SPDX-License-Identifier: MIT */
/*
 * The agent's program as a copier, `initvm-agent --get` and `--put`: the host runs it like any command, as whatever user, so that
 * a slow disk or a broken stream is never the agent's.  See initvm-agent(8).
 */
#pragma once

/* argv[0] is "--get" or "--put". Returns the exit status. */
int copy_main(int argc, char **argv);
