/* SPDX-License-Identifier: MIT */
/*
 * The main process of a job's unit.
 *
 *   systemd ── keeper ── runner (runner.h) ── the command, or a chroot with it
 *
 * The keeper copies what the command writes into the log, tells systemd's watchdog that something came, passes SIGTERM on, and
 * writes down how the command ended.  When it has ended systemd kills whatever is left of the job, and runs end.h.
 */
#pragma once

/* argv: "--job-main" ID [STATE RUNTIME]. Returns the exit status: 0 when it has written down what became of the command. */
int keeper_main(int argc, char **argv);
