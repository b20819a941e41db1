/* SPDX-License-Identifier: MIT */
#include "base/spawn.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *program_of(const struct spawn_plan *plan)
{
        return plan->program ? plan->program : plan->argv[0];
}

static void reset_signals(void)
{
        const struct sigaction action = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int signo = 1; signo < NSIG; signo++)
                sigaction(signo, &action, NULL); /* refused for KILL, STOP and glibc's own: nothing to reset there */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The agent is protected from the OOM killer by its unit; what it starts is not. */
static void reset_oom_score(void)
{
        autoclose int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        if (fd >= 0 && write(fd, "0", 1) < 0)
                return; /* a container without the right to: then nothing was set either */
}

static int set_up(const struct spawn_plan *plan)
{
        reset_signals();
        reset_oom_score();
        umask(022);
        if (setsid() < 0 || setrlimit(RLIMIT_NOFILE, &plan->nofile) < 0)
                return -1;
        for (int fd = 0; fd < 3; fd++)
                if (dup2(plan->fds[fd], fd) < 0)
                        return -1;
        return plan->terminal ? ioctl(STDIN_FILENO, TIOCSCTTY, 1) : 0;
}

/* As an ordinary user one can only stay what one is. */
static int become(const struct account *a)
{
        if (geteuid() != 0 && a->uid == geteuid())
                return 0;
        return setgroups(a->n_groups, a->groups) < 0 || setgid(a->gid) < 0 || setuid(a->uid) < 0 ? -1 : 0;
}

static int enter(const struct spawn_plan *plan)
{
        if (plan->cwd)
                return chdir(plan->cwd);
        return chdir(plan->account->home) < 0 ? chdir("/") : 0;
}

/* Executes one candidate; only returns when that failed. */
static enum spawn_stage try_exec(const char *path, const struct spawn_plan *plan)
{
        struct stat st;
        int saved;

        execve(path, plan->argv, plan->environment);
        saved = errno;
        if (saved == EACCES && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                return errno = saved, SPAWN_DIRECTORY;
        if (saved == ENOENT && stat(path, &st) == 0)
                return errno = saved, SPAWN_INTERPRETER;
        return errno = saved, SPAWN_EXEC;
}

static bool is_absent(int errnum)
{
        return errnum == ENOENT || errnum == ENOTDIR || errnum == ENAMETOOLONG || errnum == ELOOP;
}

/* Like execvpe(3), but with the command's own PATH, and without a shell for what is no program. What is there and cannot be
 * executed counts only when nothing further on can be. */
static enum spawn_stage search_and_exec(const struct spawn_plan *plan)
{
        const char *name = program_of(plan), *path = environment_get(plan->environment, "PATH");
        enum spawn_stage stage = SPAWN_EXEC;
        int errnum = ENOENT;

        if (strchr(name, '/'))
                return try_exec(name, plan);
        for (const char *at = path ? path : ""; *at;) {
                size_t n = strcspn(at, ":");
                char candidate[PATH_MAX];

                if ((size_t)snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)n, at, n ? "/" : "./", name) <
                    sizeof(candidate)) {
                        enum spawn_stage s = try_exec(candidate, plan);

                        if (s != SPAWN_EXEC || !is_absent(errno)) {
                                if (errno != EACCES)
                                        return s;
                                stage = s;
                                errnum = errno;
                        }
                }
                at += n + (at[n] == ':');
        }
        return errno = errnum, stage;
}

static void run_child(const struct spawn_plan *plan, int status)
{
        struct spawn_failure failure = {0};

        if (set_up(plan) < 0)
                failure.stage = SPAWN_SETUP;
        else if (become(plan->account) < 0)
                failure.stage = SPAWN_USER;
        else if (enter(plan) < 0)
                failure.stage = SPAWN_CWD;
        else
                failure.stage = search_and_exec(plan);
        failure.errnum = errno;
        if (write(status, &failure, sizeof(failure)) < 0)
                _exit(126);
        _exit(127);
}

int spawn(const struct spawn_plan *plan, pid_t *ret_pid, int *ret_status, struct error *err)
{
        int fds[2];
        sigset_t all, saved;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot start '%s'", program_of(plan));
        /* No signal may meet the child before it has reset them. */
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &saved);
        pid = fork();
        if (pid == 0)
                run_child(plan, fds[1]);
        int errnum = errno;
        sigprocmask(SIG_SETMASK, &saved, NULL);
        close(fds[1]);
        if (pid < 0) {
                close(fds[0]);
                return error_errno(err, errnum, "cannot start '%s'", program_of(plan));
        }
        *ret_pid = pid;
        *ret_status = fds[0];
        return 0;
}

static int exec_error(int errnum, const struct spawn_plan *plan, struct error *err)
{
        const char *name = program_of(plan), *path = environment_get(plan->environment, "PATH");

        if (is_absent(errnum) && strchr(name, '/'))
                return error_set(err, ERR_NO_COMMAND, "there is no '%s' in %s", name, plan->where);
        if (is_absent(errnum))
                return error_set(err, ERR_NO_COMMAND, "the command '%s' was not found in %s (PATH is '%s')", name, plan->where,
                                 path ? path : "");
        if (errnum == E2BIG)
                return error_set(err, ERR_INVALID, "the arguments and the environment of '%s' are too long", name);
        if (errnum == ENOEXEC)
                return error_set(
                        err, ERR_NOT_EXECUTABLE,
                        "'%s' cannot be executed: it is neither a program for this machine nor a script that begins with '#!'",
                        name);
        error_errno(err, errnum, "'%s' cannot be executed", name);
        err->code = ERR_NOT_EXECUTABLE;
        return -1;
}

int spawn_failure_error(const struct spawn_failure *failure, const struct spawn_plan *plan, struct error *err)
{
        const char *name = program_of(plan);

        switch (failure->stage) {
        case SPAWN_USER:
                return error_errno(err, failure->errnum, "cannot become the user '%s' in %s", plan->account->name, plan->where);
        case SPAWN_CWD:
                error_errno(err, failure->errnum, "cannot enter the folder '%s' in %s", plan->cwd ? plan->cwd : "/", plan->where);
                err->code = ERR_INVALID;
                return -1;
        case SPAWN_EXEC:
                return exec_error(failure->errnum, plan, err);
        case SPAWN_DIRECTORY:
                return error_set(err, ERR_NOT_EXECUTABLE, "'%s' cannot be executed: it is a directory", name);
        case SPAWN_INTERPRETER:
                return error_set(err, ERR_NOT_EXECUTABLE,
                                 "'%s' cannot be executed: the interpreter that it asks for is not in %s", name, plan->where);
        case SPAWN_SETUP:
                break;
        }
        return error_errno(err, failure->errnum, "cannot start '%s'", name);
}
