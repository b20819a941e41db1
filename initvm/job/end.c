/* SPDX-License-Identifier: MIT */
#include "job/end.h"

#include "base/log.h"
#include "base/util.h"
#include "chroot/store.h"
#include "job/log.h"
#include "job/result.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Of the log, in which it is looked for why the command failed. */
#define REASON_TAIL ((size_t)64 * 1024)

static bool log_says_no_space(const struct job *job)
{
        autofree char *path = job_path(job, JOB_LOG), *tail = xcalloc(1, REASON_TAIL);
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
        ssize_t n = fd < 0 ? -1 : pread(fd, tail, REASON_TAIL, MAX(size - (off_t)REASON_TAIL, (off_t)0));

        return n > 0 && result_says_no_space(tail, (size_t)n);
}

/* Where the keeper could not tell: up to now. */
static uint64_t wall_until_now(const struct job *job)
{
        autojson struct json_object *started = job_read(job, JOB_STARTED, NULL);
        uint64_t since = started ? json_get_u64(started, "since", 0) : 0;

        return since ? now_ms() - since : 0;
}

static int write_result(const struct job *job, struct ending *e, struct error *err)
{
        autojson struct json_object *outcome = job_read(job, JOB_OUTCOME, NULL);
        autospec struct spec spec = {0};

        if (spec_of(job, &spec, err) < 0)
                return -1;
        outcome_read(outcome, &e->outcome);
        if (!e->outcome.known)
                e->outcome.wall_ms = wall_until_now(job);
        e->cancelled = job_has(job, JOB_CANCELLED);
        e->no_space = log_says_no_space(job);
        stats_read(job->cgroup, &e->stats);
        return job_write(job, JOB_RESULT, result_new(e, &spec), true, err);
}

int end_unstarted(const struct job *job, struct error *err)
{
        struct ending e = {.service_result = "success", .exit_status = ""};

        return write_result(job, &e, err);
}

/* Opening the store is what removes overlays whose owners were killed. */
static void remove_left(const struct jobs *jobs)
{
        struct store store = {0};
        struct error err = ERROR_INIT;

        if (store_open(&store, jobs->state, jobs->runtime, &err) < 0)
                log_error("%s", err.message);
        store_done(&store);
}

int end_main(int argc, char **argv)
{
        const char *result = getenv("SERVICE_RESULT"), *status = getenv("EXIT_STATUS");
        struct ending e = {.service_result = result ? result : "", .exit_status = status ? status : ""};
        struct error err = ERROR_INIT;
        autojobs struct jobs jobs = {0};
        autojob struct job job = JOB_INIT;

        if (job_find_by_words(argc, argv, &jobs, &job, &err) < 0 || write_result(&job, &e, &err) < 0) {
                log_error("%s", err.message);
                return 1;
        }
        remove_left(&jobs);
        return 0;
}
