/* SPDX-License-Identifier: MIT */
/* The folder that becomes a job's, with its inputs packed: HOME/jobs/.new-XXXXXX (daemon/job_store.h). */
#pragma once

#include "base/error.h"

struct new_job {
        int lock;   /* of the folder, also when it is renamed */
        char *path; /* while it is being made */
};
#define NEW_JOB_INIT                                                                                                             \
        {                                                                                                                        \
                .lock = -1                                                                                                       \
        }

/* `home` is the daemon's state. Warnings about what is left out go to standard error. */
int new_job_make(struct new_job *n, const char *home, char *const *inputs, struct error *err);

/* The number of the job that the folder has become, or 0: nobody has taken it in. */
unsigned long long new_job_number(const struct new_job *n);

/* Removes it, unless it was taken in. */
void new_job_done(struct new_job *n);
