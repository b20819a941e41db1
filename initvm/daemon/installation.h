/* SPDX-License-Identifier: MIT */
/*
 * debian-installer at work in a VM: started, watched on both its serial ports (installer_watch.h), and ended at once when it
 * waits for somebody, fails, or shows nothing any more.
 */
#pragma once

#include "base/json.h"
#include "daemon/vm.h"

/* So long may neither port say anything: the installer's longest silent steps unpack and configure a kernel, and make its initrd.
 */
#define INSTALLER_SILENCE_KVM_MS (5 * 60 * 1000)
#define INSTALLER_SILENCE_TCG_MS (30 * 60 * 1000)
/* So long may one of its stages take, whatever it says: the packages of a whole desktop, from a slow mirror. */
#define INSTALLER_STAGE_KVM_MS   (2ull * 3600 * 1000)
#define INSTALLER_STAGE_TCG_MS   (8ull * 3600 * 1000)

struct installation;

struct installation_options {
        const char *command_line; /* of its kernel */
        const char *logs;         /* the folder where both logs are after a failure, for the message */
        bool show;                /* what its console shows is progress, too */
};

/*
 * VM is one whose folder has installer/kernel, installer/initrd and an empty buildenv.img, and is not started.  done is called
 * once: with NULL when the system is installed, completed and switched off; else with the stage, the reason, the question if
 * there was one, and the last lines of the log, and the domain may still be there.  ERR_CANCELLED when it was killed.
 */
struct installation *installation_start(struct vm *vm, struct daemon *daemon, const struct installation_options *options,
                                        vm_progress_fn progress, vm_done_fn done, void *userdata);

/* Nobody wants it any more: when it is still being started, done is called as soon as that has ended, and the domain is there. */
void installation_cancel(struct installation *i);

/* Also from `done`. The VM must not be started any more, or have ended, before. NULL is fine. */
void installation_free(struct installation *i);
