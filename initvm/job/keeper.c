/* SPDX-License-Identifier: MIT */
#include "job/keeper.h"

#include "base/boot_id.h"
#include "base/log.h"
#include "base/util.h"
#include "io/loop.h"
#include "job/log.h"
#include "job/notify.h"
#include "job/result.h"
#include "job/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* Read at once: a whole pipe. */
#define PIECE ((size_t)64 * 1024)

static const int ends[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

struct keeper {
        const struct job *job;
        struct loop *loop;
        struct job_log log;
        struct outcome outcome;
        uint64_t since; /* now_ms() */
        pid_t runner;
        int output, report;
        struct loop_source *output_source, *report_source, *child, *sample, *signals[ARRAY_SIZE(ends)];
        char piece[PIECE];
};

/* ---- output */

/* Returns what read(2) does. */
static ssize_t take_output(struct keeper *k)
{
        ssize_t n = read(k->output, k->piece, PIECE);

        if (n > 0 && job_log_add(&k->log, k->piece, (size_t)n))
                notify("WATCHDOG=1");
        return n;
}

static void on_output(void *userdata, uint32_t events)
{
        struct keeper *k = userdata;

        (void)events;
        if (take_output(k) == 0)
                loop_source_free(take_ptr(k->output_source));
}

/* ---- the end */

static void on_report(void *userdata, uint32_t events)
{
        struct keeper *k = userdata;
        struct runner_report r;
        ssize_t n = read(k->report, &r, sizeof(r));

        (void)events;
        if (n < 0 && errno == EINTR)
                return;
        loop_source_free(take_ptr(k->report_source));
        if (n != (ssize_t)sizeof(r)) /* it was killed; on_child comes */
                return;
        r.message[sizeof(r.message) - 1] = '\0';
        k->outcome.known = true;
        k->outcome.code = r.code;
        k->outcome.wait_status = r.wait_status;
        k->outcome.disk = r.disk;
        k->outcome.wall_ms = now_ms() - k->since;
        snprintf(k->outcome.message, sizeof(k->outcome.message), "%s", r.message);
}

static void on_child(void *userdata, int wait_status)
{
        struct keeper *k = userdata;

        (void)wait_status; /* what counts is in the report */
        loop_source_free(take_ptr(k->child));
        if (k->report_source)
                on_report(k, 0);
        loop_quit(k->loop, 0);
}

/* What comes when the command has ended is too late to have ended it. */
static void on_signal(void *userdata)
{
        struct keeper *k = userdata;

        if (k->outcome.known)
                return;
        k->outcome.stopped = true;
        kill(k->runner, SIGTERM);
}

static void on_sample(void *userdata)
{
        struct keeper *k = userdata;

        emulation_sample(&k->outcome.emulation, k->job->cgroup);
        loop_timer_arm(k->sample, EMULATION_SAMPLE_MS);
}

/* What is left in the pipe belongs to the log; whoever still has it open is not waited for. */
static int finish(struct keeper *k, struct error *err)
{
        fcntl(k->output, F_SETFL, O_NONBLOCK);
        while (take_output(k) > 0)
                ;
        k->outcome.log_cut = k->log.cut || k->log.errnum != 0;
        job_log_close(&k->log);
        if (!k->outcome.known)
                return error_set(err, ERR_FAILED, "the runner of job %s has ended without a report", k->job->id);
        return job_write(k->job, JOB_OUTCOME, outcome_json(&k->outcome), false, err);
}

/* ---- the begin */

static void run_child(const struct keeper *k, const struct spec *spec, int output, int report) __attribute__((noreturn));
static void run_child(const struct keeper *k, const struct spec *spec, int output, int report)
{
        sigset_t none;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, "initvm-job");
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
                _exit(1);
        runner_run(k->job, spec, report);
        _exit(0);
}

/* A runner whose parent has died before it could ask to be told is killed by systemd, with everything of the unit. */
static int start_runner(struct keeper *k, const struct spec *spec, struct error *err)
{
        int output[2], report[2];

        if (pipe2(output, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot make a pipe");
        k->runner = fork();
        if (k->runner == 0)
                run_child(k, spec, output[1], report[1]);
        if (k->runner < 0)
                return error_errno(err, errno, "cannot make a process");
        close(output[1]);
        close(report[1]);
        k->output = output[0];
        k->report = report[0];
        fcntl(k->report, F_SETFL, O_NONBLOCK); /* it is read once more when the runner has ended */
        return 0;
}

static int write_started(const struct keeper *k, struct error *err)
{
        autofree char *boot = boot_id();
        struct json_object *o = json_new();

        json_add_string(o, "boot", boot);
        json_add_u64(o, "since", k->since); /* now_ms(), of this boot */
        return job_write(k->job, JOB_STARTED, o, false, err);
}

static void block_signals(void)
{
        sigset_t signals;

        sigemptyset(&signals);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
                sigaddset(&signals, ends[i]);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        signal(SIGPIPE, SIG_IGN);
}

static int keep(struct keeper *k, const struct spec *spec, struct error *err)
{
        int r;

        /* Whoever cancels writes that down first and stops the unit then: one of the two is noticed. */
        if (write_started(k, err) < 0 || job_has(k->job, JOB_CANCELLED))
                return job_has(k->job, JOB_CANCELLED) ? 0 : -1;
        if (job_log_open(&k->log, k->job, spec->log, err) < 0 || start_runner(k, spec, err) < 0)
                return -1;
        k->loop = loop_new();
        k->output_source = loop_add_fd(k->loop, k->output, EPOLLIN, on_output, k);
        k->report_source = loop_add_fd(k->loop, k->report, EPOLLIN, on_report, k);
        k->child = loop_add_child(k->loop, k->runner, on_child, k);
        k->sample = loop_add_timer(k->loop, on_sample, k);
        loop_timer_arm(k->sample, EMULATION_SAMPLE_MS);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
                k->signals[i] = loop_add_signal(k->loop, ends[i], on_signal, k);
        loop_run(k->loop);
        r = finish(k, err);
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
                loop_source_free(k->signals[i]);
        loop_source_free(k->sample);
        loop_source_free(k->output_source);
        loop_source_free(k->report_source);
        loop_free(k->loop);
        close(k->output);
        close(k->report);
        return r;
}

int keeper_main(int argc, char **argv)
{
        struct keeper *k = xcalloc(1, sizeof(*k));
        struct error err = ERROR_INIT;
        autojobs struct jobs jobs = {0};
        autojob struct job job = JOB_INIT;
        autospec struct spec spec = {0};
        int r = -1;

        block_signals();
        k->job = &job;
        k->since = now_ms();
        k->log = (struct job_log)JOB_LOG_INIT;
        if (job_find_by_words(argc, argv, &jobs, &job, &err) == 0 && spec_of(&job, &spec, &err) == 0)
                r = keep(k, &spec, &err);
        if (r < 0)
                log_error("%s", err.message);
        free(k);
        return r < 0 ? 1 : 0;
}
