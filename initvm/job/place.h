/* SPDX-License-Identifier: MIT */
/* Where the commands of a job are executed: the machine itself, or a pristine overlay over a chroot. For processes that do
 * nothing else; SIGTERM and the like are passed on to the command that runs, and after one no other is begun. */
#pragma once

#include "base/account.h"
#include "chroot/overlay.h"
#include "job/job.h"
#include "job/spec.h"

/* Where workspace and script are in a chroot. */
#define PLACE_WORK   "/work"
#define PLACE_SCRIPT "/run/initvm/script"

struct place {
        const struct job *job;
        const struct spec *spec;
        struct store store;
        int use; /* the chroot's folder, locked; -1: the machine itself */
        struct overlay overlay;
        char **binds;
        char *work, *script; /* as the commands see them */
};
#define PLACE_INIT                                                                                                               \
        {                                                                                                                        \
                .use = -1, .overlay = OVERLAY_INIT                                                                               \
        }
#define autoplace __attribute__((cleanup(place_close)))

/* `what` is for those who ask who uses the chroot. */
int place_open(const struct job *job, const struct spec *spec, const char *what, struct place *ret, struct error *err);
void place_close(struct place *p);

struct place_command {
        char *const *argv; /* NULL: the login shell */
        const char *user;  /* NULL: root */
        const char *cwd;   /* NULL: the workspace */
        char *const *environment;
        bool network;
        bool terminal;
};

/* *ret_wait_status: how it ended. An error: it could not be executed. */
int place_run(struct place *p, const struct place_command *c, int *ret_wait_status, struct error *err);

/* Makes the workspace, which root has made, a user's. */
int place_give_workspace(const struct place *p, const char *user, struct error *err);

/* A user of that place; root for NULL. */
int place_account(const struct place *p, const char *user, struct account *ret, struct error *err);
