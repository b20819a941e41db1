/* SPDX-License-Identifier: MIT */
/* initvm job: what becomes of the jobs that `initvm submit` has handed over. */
#include "cli/job.h"

static const struct command *const subcommands[] = {
        &command_job_list,
        &command_job_show,
        &command_job_logs,
        &command_job_wait,
        &command_job_watch,
        &command_job_cancel,
        &command_job_fetch,
        &command_job_shell,
        &command_job_retry,
        &command_job_remove,
        &command_job_prune,
        &command_job_limit,
        NULL,
};

const struct command command_job = {
        .name = "job",
        .group = GROUP_INSIDE,
        .summary = "list, follow, cancel and fetch build jobs",
        .words = "list|show|logs|wait|watch|cancel|fetch|shell|retry|remove|prune|limit",
        .subcommands = subcommands,
        .description =
                "A job is kept on the host from the moment on at which 'initvm submit' has accepted it, with its log and its "
                "artifacts, "
                "until it is removed. Its states: queued, preparing, running, collecting, and at the end succeeded, failed, "
                "cancelled, timed-out, or lost when nobody can know what became of its command.",
        .examples = "initvm job list\n"
                    "initvm job logs -f 17\n"
                    "initvm job wait 17 && initvm job fetch 17 --output out\n"
                    "initvm job prune --older-than 14",
};
