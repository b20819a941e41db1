/* SPDX-License-Identifier: MIT */
/* What build jobs need of VMs: their size, that they run and answer, and the channel to their agents. */
#pragma once

#include "daemon/channel.h"

#include <stdbool.h>

/* Borrowed until the next turn of the loop. */
struct job_machine {
        uint64_t cpus;
        const char *suite, *architecture;
        const char *acceleration; /* while it runs, else NULL */
        struct channel *channel;  /* while it runs, else NULL */
        const char *panic;        /* that its kernel panicked, and it has booted since then; else NULL */
};

typedef void (*job_ready_fn)(void *userdata, const struct error *why_not);

struct job_machines {
        /* ERR_NOT_FOUND when there is none of that name, ERR_STATE while it is being created. */
        int (*find)(void *userdata, const char *vm, struct job_machine *ret, struct error *err);

        /* Calls fn once, at once or later: with NULL when its agent answers, else with the reason. One that does not run is
         * started, or, without `start`, is a reason. */
        void (*ready)(void *userdata, const char *vm, bool start, job_ready_fn fn, void *fn_userdata);

        void *userdata;

        const char *client; /* the program that makes chroots, `initvm`; NULL: ours */
};

/* Those of the daemon; in job_machines.c. */
struct daemon;
struct daemon_machines;
struct daemon_machines *daemon_machines_new(struct daemon *daemon);
void daemon_machines_free(struct daemon_machines *m); /* who still waits is not called any more */
struct job_machines daemon_machines_ops(struct daemon_machines *m);

/* What a VM was doing has ended, or it has come or gone: who waited for that tries again. */
void daemon_machines_changed(struct daemon_machines *m);
