/* SPDX-License-Identifier: MIT */
#include "chroot/init.h"

#include "base/account.h"
#include "base/process.h"
#include "base/spawn.h"
#include "base/util.h"
#include "chroot/native.h"
#include "chroot/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is passed on to the command. */
static const int passed[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

struct init {
        const char *user, *cwd;
        char **environment;
        char **argv;
        bool terminal, native;
        struct account account;
};

static void report(enum error_code code, int wait_status, const char *message)
{
        struct init_report r = {.code = code, .wait_status = wait_status};

        snprintf(r.message, sizeof(r.message), "%s", message);
        if (write(INIT_REPORT_FD, &r, sizeof(r)) < 0)
                return; /* who would read it has ended, and so shall we */
}

static void parse(struct init *in, int argc, char **argv)
{
        static const struct option options[] = {{"user", required_argument, NULL, 'u'}, {"cwd", required_argument, NULL, 'c'},
                                                {"env", required_argument, NULL, 'e'},  {"terminal", no_argument, NULL, 't'},
                                                {"native", no_argument, NULL, 'n'},     {0}};
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
                switch (option) {
                case 'u':
                        in->user = optarg;
                        break;
                case 'c':
                        in->cwd = optarg;
                        break;
                case 'e':
                        strv_add(&in->environment, optarg);
                        break;
                case 't':
                        in->terminal = true;
                        break;
                case 'n':
                        in->native = true;
                        break;
                default:
                        break;
                }
        for (; optind < argc; optind++)
                strv_add(&in->argv, argv[optind]);
}

/* A copy of one of our standard fds, as spawn.h wants them. */
static int copy_fd(int fd)
{
        return fcntl(fd, F_DUPFD_CLOEXEC, INIT_REPORT_FD + 1);
}

/* Starts it, and waits until it runs or is known not to. */
static int start(struct init *in, pid_t *ret_pid, struct error *err)
{
        bool login = !in->argv;
        const char *container = getenv("container"); /* systemd's sign for what we are in */
        struct spawn_plan plan = {.cwd = in->cwd, .where = "the chroot", .terminal = in->terminal, .account = &in->account};
        autostrv char **environment = NULL;
        struct spawn_failure failure;
        autoclose int status = -1;
        ssize_t n;

        if (account_find(in->user, &in->account, err) < 0)
                return -1;
        if (login)
                strv_addf(&in->argv, "-%s",
                          strrchr(in->account.shell, '/') ? strrchr(in->account.shell, '/') + 1 : in->account.shell);
        if (container)
                strv_addf(&in->environment, "container=%s", container);
        environment = account_environment(&in->account, LOCALE_FILE, in->environment);
        if (in->native)
                native_environment(&environment);
        plan.argv = in->argv;
        plan.program = login ? in->account.shell : NULL;
        plan.environment = environment;
        getrlimit(RLIMIT_NOFILE, &plan.nofile);
        for (int fd = 0; fd < 3; fd++)
                plan.fds[fd] = copy_fd(fd);
        if (in->terminal && fchown(STDIN_FILENO, in->account.uid, (gid_t)-1) < 0)
                return error_errno(err, errno, "cannot give the terminal to '%s'", in->account.name);
        if (spawn(&plan, ret_pid, &status, err) < 0)
                return -1;
        for (int fd = 0; fd < 3; fd++)
                close(plan.fds[fd]);
        do
                n = read(status, &failure, sizeof(failure));
        while (n < 0 && errno == EINTR);
        return n == (ssize_t)sizeof(failure) ? spawn_failure_error(&failure, &plan, err) : 0;
}

/* Until the command has ended; returns its wait status. */
static int watch(pid_t command, const sigset_t *signals)
{
        for (;;) {
                int status, signo = sigwaitinfo(signals, NULL);
                pid_t ended;

                if (signo > 0 && signo != SIGCHLD && kill(-command, signo) < 0)
                        kill(command, signo);
                while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
                        if (ended == command)
                                return status;
        }
}

int init_main(int argc, char **argv)
{
        struct error err = ERROR_INIT;
        struct init in = {0};
        sigset_t signals;
        pid_t command = -1;
        int status;

        close(INIT_PROGRAM_FD);
        prctl(PR_SET_NAME, "initvm-chroot"); /* else it is called "3" */
        fcntl(INIT_REPORT_FD, F_SETFD, FD_CLOEXEC);
        sigemptyset(&signals);
        sigaddset(&signals, SIGCHLD);
        for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
                sigaddset(&signals, passed[i]);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        parse(&in, argc, argv);
        if (syscalls_deny(&err) < 0 || start(&in, &command, &err) < 0) {
                report(err.code, 0, err.message);
                status = error_exec_status(err.code);
        } else {
                int wait_status = watch(command, &signals);

                report(ERR_NONE, wait_status, "");
                status = process_exit_status(wait_status);
        }
        account_done(&in.account);
        strv_free(in.environment);
        strv_free(in.argv);
        return status;
}
