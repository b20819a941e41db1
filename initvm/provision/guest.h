/* SPDX-License-Identifier: MIT */
/*
 * Putting a plan into effect in the new root file system.  All of it runs inside the root (after chroot(2)): no link in it
 * can lead out, and its own programs are what is run.
 */
#pragma once

#include "base/error.h"
#include "base/util.h"
#include "provision/guest_files.h"
#include "provision/plan.h"

struct guest {
        const struct plan *plan;
        const char *root_uuid;
        const char *swap_uuid; /* NULL: none */
        const char *efi_uuid;  /* of the FAT file system; NULL: none */
        struct buf *keys;      /* one for each source: its own key, empty when it has none; the last one is the archive's */
        bool keep_network;     /* the machine has one that is not ours to configure */
        int agent;             /* fd of the agent's program */
        int kernel_out;        /* fds that the kernel and its initrd are written to, for the host */
        int initrd_out;
};

/* Before packages besides the essential ones are installed: the answers for debconf. */
int guest_preconfigure(const struct plan *plan, struct error *err);

/* After all packages are installed. */
int guest_apply(const struct guest *guest, struct error *err);

/* The parts of guest_apply(). */
int guest_apply_system(const struct plan *plan, struct error *err);
int guest_apply_users(const struct plan *plan, struct error *err);
int guest_apply_apt(const struct guest *guest, struct error *err);
int guest_apply_boot(const struct guest *guest, struct error *err);
int guest_apply_services(const struct guest *guest, struct error *err);
int guest_put_commands(const struct plan *plan, struct error *err);
int guest_clean(struct error *err);

/* What no two machines may have in common: made anew by the first boot. */
int guest_forget_identity(struct error *err);

/* The same for a machine that the installer has made: fstab stays but for "discard", the initrd is made again by our settings,
 * GRUB is told of the serial console. */
int guest_complete_boot(struct plan *plan, struct error *err);

/* Helpers of these. Replaces a file (also a link) and makes its folders. */
int guest_write(const char *path, unsigned mode, const char *text, struct error *err);
int guest_writef(const char *path, unsigned mode, struct error *err, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
int guest_link(const char *target, const char *path, struct error *err);

/* Runs a program of the root with `input` on stdin (NULL: nothing); another status than 0 is an error. */
int guest_run(char *const *argv, const char *input, struct error *err);

/* Copies a whole file between fds, by offset from 0 and by writing on. */
int guest_copy(int from, int to, struct error *err);
