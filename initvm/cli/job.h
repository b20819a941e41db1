/* SPDX-License-Identifier: MIT */
/* The subcommands of `initvm job`, some to a file (cmd_job.c has their table), and what they share with `initvm submit`. */
#pragma once

#include "base/json.h"
#include "cli/commands.h"
#include "io/client.h"

extern const struct command command_job_cancel, command_job_fetch, command_job_limit, command_job_list, command_job_logs,
        command_job_prune, command_job_remove, command_job_retry, command_job_shell, command_job_show, command_job_wait,
        command_job_watch;

/* The number that the operand is. */
int job_number(const char *operand, uint64_t *ret, struct error *err);

/* One call about the job that the first operand names; *ret_job is owned, and may be NULL when nobody wants it. */
int job_call(const struct invocation *inv, const char *method, unsigned deadline_ms, struct json_object **ret_job,
             struct error *err);

/* For who waits until a job has ended, however long that takes. */
#define JOB_NO_DEADLINE UINT32_MAX

bool job_ended(struct json_object *job);

/* What a command that waited for it exits with. */
int job_exit_status(struct json_object *job);

/* {"job": {...}} on a line. */
void job_print_json(struct json_object *job);

/* One sentence on how it ended, to standard error; and, after a failure, how to look inside. `artifacts`: the folder where they
 * are now; NULL: nowhere. */
void job_tell_end(struct json_object *job, const char *artifacts);

/* "2.5 s" between two of the job's times; NULL when one is missing. Owned. */
char *job_took(struct json_object *job, const char *from, const char *to);
