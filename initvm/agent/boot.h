/* SPDX-License-Identifier: MIT */
/*
 * The agent's program as a look at what the guest wants to be booted with, `initvm-agent --boot`: one line of JSON,
 * {"kernel": PATH, "initrd": PATH, "kernelSize": N, "initrdSize": N, "id": TEXT}, about the newest kernel that has an initrd. The
 * id is another one whenever either file is.
 */
#pragma once

/* argv[0] is "--boot". Returns the exit status. */
int boot_main(int argc, char **argv);
