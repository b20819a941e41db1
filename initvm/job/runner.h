/* SPDX-License-Identifier: MIT */
/* What a job is, step by step: a process of its own, which blocks. */
#pragma once

#include "job/job.h"
#include "job/spec.h"

/* A sentence with the names of some packages. */
#define RUNNER_MESSAGE_MAX 2048

/* What it tells its parent, once, through a pipe: less than PIPE_BUF. */
struct runner_report {
        enum error_code code; /* ERR_NONE: the command ran */
        int wait_status;      /* of the command, as of waitpid(2) */
        uint64_t disk;        /* bytes that the job takes then; 0: not known */
        char message[RUNNER_MESSAGE_MAX];
};

/* Does what the spec says, with our standard input, output and error. The report is written before the overlay is taken away,
 * which may take a while. */
void runner_run(const struct job *job, const struct spec *spec, int report);

/* Another command in the same workspace and the same kind of place: its wait status. argv NULL: the login shell. */
int runner_run_other(const struct job *job, const struct spec *spec, char *const *argv, bool terminal, int *ret_wait_status,
                     struct error *err);
