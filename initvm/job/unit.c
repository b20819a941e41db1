/* SPDX-License-Identifier: MIT */
#include "job/unit.h"

#include "base/process.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a program of systemd says when it fails is a line or two. */
#define SAID_MAX 1024

/* The path that stands for the agent also after it was replaced (agent/update.c): by its name, and not what we execute. */
static char *own_program(void)
{
        char path[PATH_MAX] = "";
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
        static const char deleted[] = " (deleted)";

        path[MAX(n, 0)] = '\0';
        if (str_has_suffix(path, deleted))
                path[n - (ssize_t)strlen(deleted)] = '\0';
        return xstrdup(path);
}

static void add_limits(char ***v, const struct spec *spec)
{
        if (spec->timeout_ms)
                strv_addf(v, "--property=RuntimeMaxSec=%" PRIu64 "ms", spec->timeout_ms);
        if (spec->silence_ms) {
                strv_addf(v, "--property=WatchdogSec=%" PRIu64 "ms", spec->silence_ms);
                strv_add(v, "--property=WatchdogSignal=SIGTERM");
        }
        if (spec->memory) {
                strv_addf(v, "--property=MemoryMax=%" PRIu64, spec->memory);
                strv_add(v, "--property=MemorySwapMax=0");
        }
        if (spec->disk) /* who has it is not held by quotas: neither root, nor the overlay that root has mounted */
                strv_add(v, "--property=CapabilityBoundingSet=~CAP_SYS_RESOURCE");
        if (spec->cpu_percent)
                strv_addf(v, "--property=CPUQuota=%u%%", spec->cpu_percent);
}

char **unit_start_argv(const struct job *job, const struct spec *spec, const char *program)
{
        /* systemd-nspawn makes control groups below the unit's. Of the controllers only one that is there anyway: cpuset, which
         * 'yes' would bring, has the kernel patch its own code when the first group gets it and when the last one goes, and an
         * emulated CPU that executes just that code may stumble over it (an int3 that nobody knows of). */
        static const char *const properties[] = {
                "KillMode=mixed",    "OOMPolicy=stop",       "OOMScoreAdjust=-900", "NotifyAccess=main", "Delegate=pids",
                "CPUAccounting=yes", "MemoryAccounting=yes", "IOAccounting=yes",    "TasksMax=infinity",
        };
        char **v = NULL;

        strv_add(&v, "systemd-run");
        strv_add(&v, "--quiet");
        strv_add(&v, "--collect");
        strv_add(&v, "--service-type=exec");
        strv_add(&v, "--slice=initvm-jobs.slice");
        strv_addf(&v, "--unit=%s", job->unit);
        strv_addf(&v, "--description=Build job %s", job->id);
        for (size_t i = 0; i < ARRAY_SIZE(properties); i++)
                strv_addf(&v, "--property=%s", properties[i]);
        strv_addf(&v, "--property=TimeoutStopSec=%us", UNIT_STOP_S);
        add_limits(&v, spec);
        strv_addf(&v, "--property=ExecStopPost=\"%s\" --job-end %s", program, job->id);
        strv_add(&v, "--");
        strv_add(&v, program);
        strv_add(&v, "--job-main");
        strv_add(&v, job->id);
        return v;
}

/* Runs a program of systemd, which talks to it and ends. Fails with what it says. */
static int run(char *const *argv, struct error *err)
{
        char said[SAID_MAX] = "";
        size_t n = 0;
        int fds[2], status = 0;
        ssize_t got;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot start '%s'", argv[0]);
        const struct process_fd passed[] = {{fds[1], STDOUT_FILENO}, {fds[1], STDERR_FILENO}};
        const struct process_options options = {.fds = passed, .n_fds = ARRAY_SIZE(passed)};
        if (process_spawn(argv, &options, &pid, err) < 0) {
                close(fds[0]);
                close(fds[1]);
                return -1;
        }
        close(fds[1]);
        while ((got = read(fds[0], said + n, sizeof(said) - 1 - n)) > 0)
                n += (size_t)got;
        close(fds[0]);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        said[n] = '\0';
        said[strcspn(said, "\n")] = '\0';
        if (status == 0)
                return 0;
        return error_set(err, ERR_FAILED, "%s failed (%s)%s%s", argv[0], process_status_text(status), *said ? ": " : "", said);
}

int unit_start(const struct job *job, const struct spec *spec, struct error *err)
{
        autofree char *program = own_program();
        autostrv char **argv = unit_start_argv(job, spec, program);
        enum job_state state = job_state(job);

        if (state != JOB_CREATED || job_has(job, JOB_CANCELLED))
                return 0;
        if (run(argv, err) == 0)
                return 0;
        state = job_state(job);
        if (state == JOB_RUNNING || state == JOB_ENDED || state == JOB_LOST) /* somebody else was faster */
                return 0;
        return error_prefix(err, "cannot start job %s", job->id);
}

int unit_stop(const struct job *job, struct error *err)
{
        char *const argv[] = {(char *)"systemctl", (char *)"stop", (char *)"--quiet", job->unit, NULL};

        if (access(job->cgroup, F_OK) < 0)
                return 0;
        if (run(argv, err) == 0 || access(job->cgroup, F_OK) < 0)
                return 0;
        return error_prefix(err, "cannot stop job %s", job->id);
}
