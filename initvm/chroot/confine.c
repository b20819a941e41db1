/* SPDX-License-Identifier: MIT */
#include "chroot/confine.h"

#include "base/process.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first of the passed fds: SD_LISTEN_FDS_START of sd_listen_fds(3). */
#define PASSED_FIRST 3

/* Fds are moved above this number first, so that placing one cannot overwrite another. */
#define FD_PARKING 100

static void reset_signals(void)
{
        const struct sigaction action = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int signo = 1; signo < NSIG; signo++)
                sigaction(signo, &action, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

static void say_and_exit(const char *what) __attribute__((noreturn));
static void say_and_exit(const char *what)
{
        dprintf(STDERR_FILENO, "initvm: cannot run '%s': %s\n", what, strerror(errno));
        _exit(CONFINED_NOT_EXECUTED);
}

static int place_fds(const struct confined *c)
{
        int parked[16];
        unsigned n = 3 + c->n_passed;

        if (n > ARRAY_SIZE(parked)) {
                errno = EINVAL;
                return -1;
        }
        for (unsigned i = 0; i < n; i++) {
                parked[i] = fcntl(i < 3 ? c->fds[i] : c->passed[i - 3], F_DUPFD_CLOEXEC, FD_PARKING);
                if (parked[i] < 0)
                        return -1;
        }
        for (unsigned i = 0; i < n; i++)
                if (dup2(parked[i], (int)i) < 0)
                        return -1;
        return close_range(n, ~0u, CLOSE_RANGE_CLOEXEC);
}

/* The program itself: process 2 of its namespace. */
static void run_program(const struct confined *c) __attribute__((noreturn));
static void run_program(const struct confined *c)
{
        char number[16];

        _Static_assert(PASSED_FIRST == STDERR_FILENO + 1, "they are placed in one go");
        if (place_fds(c) < 0)
                say_and_exit(c->argv[0]);
        if (c->n_passed > 0) {
                snprintf(number, sizeof(number), "%d", getpid());
                setenv("LISTEN_PID", number, 1);
                snprintf(number, sizeof(number), "%u", c->n_passed);
                setenv("LISTEN_FDS", number, 1);
        }
        execvp(c->argv[0], c->argv);
        say_and_exit(c->argv[0]);
}

/* Process 1, which adopts orphans and ends with the program. `gate` is at its end when our parent died before we could ask to be
 * told. */
static void run_first(const struct confined *c, int gate) __attribute__((noreturn));
static void run_first(const struct confined *c, int gate)
{
        int status = 0;
        pid_t program, ended;
        char byte;

        reset_signals();
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || read(gate, &byte, 1) != 1)
                _exit(CONFINED_NOT_EXECUTED);
        if (c->own_group)
                setpgid(0, 0);
        if (mount("", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
            mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                say_and_exit(c->argv[0]);
        program = fork();
        if (program == 0)
                run_program(c);
        if (program < 0)
                say_and_exit(c->argv[0]);
        do
                ended = waitpid(-1, &status, 0);
        while (ended != program && (ended > 0 || errno == EINTR));
        _exit(process_exit_status(status));
}

int confined_start(const struct confined *c, pid_t *ret_pid, struct error *err)
{
        sigset_t all, saved;
        int gate[2], errnum;
        long pid;

        if (pipe2(gate, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot start '%s'", c->argv[0]);
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &saved);
        pid = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, 0L); /* as fork(2) */
        if (pid == 0) {
                close(gate[1]);
                run_first(c, gate[0]);
        }
        errnum = errno;
        sigprocmask(SIG_SETMASK, &saved, NULL);
        close(gate[0]);
        if (pid > 0 && write(gate[1], "", 1) == 1) {
                close(gate[1]);
                *ret_pid = (pid_t)pid;
                return 0;
        }
        close(gate[1]);
        return error_errno(err, errnum, "cannot start '%s'", c->argv[0]);
}
