/* SPDX-License-Identifier: MIT */
/* From a command line to a job: its spec (wire/job_spec.h), and the files of this host that it needs. */
#pragma once

#include "cli/command.h"

struct submission {
        struct json_object *spec; /* checked */
        char **inputs;            /* paths here; each arrives under its last component */
        const char *vm;           /* borrowed */
};

extern const struct option_spec submit_options[];

/* ERR_INVALID names the option, or the field of JOB.json. */
int submission_init(struct submission *s, const struct invocation *inv, struct error *err);
void submission_done(struct submission *s);
