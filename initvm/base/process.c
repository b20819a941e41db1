/* SPDX-License-Identifier: MIT */
#include "base/process.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Fds are first moved above this number, so that placing one cannot overwrite another that is still needed. */
#define FD_PARKING 100

/* What the child tells through the close-on-exec pipe when it could not exec. */
struct failure {
        int errnum;
        const char *what; /* same address in the forked child: the image is the same */
};

static void reset_signals(void)
{
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int signo = 1; signo < NSIG; signo++)
                sigaction(signo, &action, NULL); /* fails for KILL, STOP and the reserved ones: nothing to reset there */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Puts the named fds in their places, /dev/null in 0-2 otherwise. Nothing else is passed on: ours are O_CLOEXEC, but those that
 * we were started with (a lock that a script holds on fd 9) need not be. Linux before 5.11 lets them through. */
static int place_fds(const struct process_options *o)
{
        int null_fd, parked[16];

        if (o->n_fds > ARRAY_SIZE(parked)) {
                errno = EINVAL;
                return -1;
        }
        for (size_t i = 0; i < o->n_fds; i++) {
                parked[i] = fcntl(o->fds[i].from, F_DUPFD_CLOEXEC, FD_PARKING);
                if (parked[i] < 0)
                        return -1;
        }
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0)
                return -1;
        for (int fd = 0; fd <= 2; fd++) {
                bool named = false;
                for (size_t i = 0; i < o->n_fds; i++)
                        named |= o->fds[i].to == fd;
                if (!named) {
                        if (null_fd == fd)
                                fcntl(fd, F_SETFD, 0);
                        else if (dup2(null_fd, fd) < 0)
                                return -1;
                }
        }
        close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
        for (size_t i = 0; i < o->n_fds; i++)
                if (dup2(parked[i], o->fds[i].to) < 0)
                        return -1;
        return 0;
}

static void run_child(char *const *argv, const struct process_options *o, pid_t parent, int report)
{
        struct failure failure = {0};

        reset_signals();
        failure.what = "prepare";
        if (o->new_session && setsid() < 0)
                goto failed;
        if (o->new_group && !o->new_session && setpgid(0, 0) < 0)
                goto failed;
        if (o->death_signal) {
                if (prctl(PR_SET_PDEATHSIG, o->death_signal) < 0)
                        goto failed;
                if (getppid() != parent) /* it died before the prctl */
                        _exit(127);
        }
        report = fcntl(report, F_DUPFD_CLOEXEC, FD_PARKING + 20);
        if (report < 0 || place_fds(o) < 0)
                goto failed;
        failure.what = "change to the folder for";
        if (o->cwd && chdir(o->cwd) < 0)
                goto failed;
        failure.what = "run";
        if (o->environment)
                environ = (char **)o->environment;
        execvp(argv[0], argv);
failed:
        failure.errnum = errno;
        if (write(report, &failure, sizeof(failure)) < 0)
                _exit(126);
        _exit(127);
}

int process_spawn(char *const *argv, const struct process_options *options, pid_t *ret_pid, struct error *err)
{
        static const struct process_options defaults = {0};
        struct failure failure;
        int pipe_fds[2];
        sigset_t all, saved;
        ssize_t n;
        pid_t pid, parent = getpid();

        if (!options)
                options = &defaults;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot start '%s'", argv[0]);
        /* No handler of ours may run in the child before its signals are reset. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &saved);
        pid = fork();
        if (pid == 0)
                run_child(argv, options, parent, pipe_fds[1]);
        int saved_errno = errno;
        pthread_sigmask(SIG_SETMASK, &saved, NULL);
        close(pipe_fds[1]);
        if (pid < 0) {
                close(pipe_fds[0]);
                return error_errno(err, saved_errno, "cannot start '%s'", argv[0]);
        }
        do
                n = read(pipe_fds[0], &failure, sizeof(failure));
        while (n < 0 && errno == EINTR);
        close(pipe_fds[0]);
        if (n == (ssize_t)sizeof(failure)) {
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
                return error_errno(err, failure.errnum, "cannot %s '%s'", failure.what, argv[0]);
        }
        *ret_pid = pid;
        return 0;
}

int process_exit_status(int wait_status)
{
        return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : STATUS_SIGNAL + WTERMSIG(wait_status);
}

const char *process_status_text(int wait_status)
{
        static _Thread_local char text[64];

        if (WIFEXITED(wait_status))
                snprintf(text, sizeof(text), "exit status %d", WEXITSTATUS(wait_status));
        else if (WIFSIGNALED(wait_status))
                snprintf(text, sizeof(text), "killed by signal %d (%s)", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
        else
                snprintf(text, sizeof(text), "wait status %#x", (unsigned)wait_status);
        return text;
}
