/* SPDX-License-Identifier: MIT */
/*
 * initvm-target: the last step of an installation, run by the installer inside the new system (provision/installed.h).  A program
 * of its own because it is static: it runs in a system of any release, and is all that is run there.  What goes wrong is one
 * sentence on standard error, which the installer logs.
 */
#include "provision/installed.h"

#include <stdio.h>
#include <sys/stat.h>

int main(int argc, char **argv)
{
        struct error err = ERROR_INIT;

        (void)argv;
        if (argc > 1) {
                fprintf(stderr, "usage: initvm-target is started by debian-installer, see initvm(1)\n");
                return 2;
        }
        umask(022);
        if (installed_complete(&err) == 0)
                return 0;
        fprintf(stderr, "initvm-target: %s\n", err.message);
        return 1;
}
