/* SPDX-License-Identifier: MIT */
/* In the machine itself what a job lacks is taken from our own process: it is there for that one command. */
#include "job/place_here.h"

#include "base/spawn.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

/* A network of its own has a loopback, which is down at first: network_namespaces(7). */
static int leave_network(struct error *err)
{
        struct ifreq request = {.ifr_name = "lo"};
        autoclose int fd = -1;

        if (unshare(CLONE_NEWNET) < 0 || (fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0 ||
            ioctl(fd, SIOCGIFFLAGS, &request) < 0)
                return error_errno(err, errno, "cannot make a network without connections");
        request.ifr_flags |= IFF_UP;
        if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return error_errno(err, errno, "cannot make a network without connections");
        return 0;
}

/* Until it runs, or is known not to. */
static int wait_for_start(int fd, pid_t pid, const struct spawn_plan *plan, struct error *err)
{
        struct spawn_failure failure;
        ssize_t n;

        do
                n = read(fd, &failure, sizeof(failure));
        while (n < 0 && errno == EINTR);
        if (n != (ssize_t)sizeof(failure))
                return 0;
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return spawn_failure_error(&failure, plan, err);
}

static int wait_for_end(pid_t pid, const sigset_t *signals)
{
        int status = 0;

        while (waitpid(pid, &status, WNOHANG) != pid) {
                int signo = sigwaitinfo(signals, NULL);

                if (signo > 0 && signo != SIGCHLD)
                        kill(-pid, signo);
        }
        return status;
}

static int run(const struct spawn_plan *plan, int *ret_wait_status, struct error *err)
{
        autoclose int started = -1;
        sigset_t signals, before;
        pid_t pid = -1;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGCHLD);
        for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
                sigaddset(&signals, passed_on[i]);
        sigprocmask(SIG_BLOCK, &signals, &before);
        r = spawn(plan, &pid, &started, err);
        if (r == 0)
                r = wait_for_start(started, pid, plan, err);
        if (r == 0)
                *ret_wait_status = wait_for_end(pid, &signals);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return r;
}

int place_run_here(struct place *p, const struct place_command *c, int *ret_wait_status, struct error *err)
{
        autostrv char **login = NULL, **environment = NULL;
        struct account account = {0};
        struct spawn_plan plan = {.argv = c->argv,
                                  .account = &account,
                                  .cwd = c->cwd ? c->cwd : p->work,
                                  .where = "the VM",
                                  .terminal = c->terminal};
        int r = -1;

        if ((!c->network && leave_network(err) < 0) || place_account(p, c->user, &account, err) < 0)
                return -1;
        if (!c->argv) {
                const char *name = strrchr(account.shell, '/');

                strv_addf(&login, "-%s", name ? name + 1 : account.shell);
                plan.argv = login;
                plan.program = account.shell;
        }
        environment = account_environment(&account, LOCALE_FILE, c->environment);
        plan.environment = environment;
        getrlimit(RLIMIT_NOFILE, &plan.nofile);
        for (int fd = 0; fd < 3; fd++)
                plan.fds[fd] = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (c->terminal && fchown(STDIN_FILENO, account.uid, (gid_t)-1) < 0)
                error_errno(err, errno, "cannot give the terminal to '%s'", account.name);
        else
                r = run(&plan, ret_wait_status, err);
        for (int fd = 0; fd < 3; fd++)
                cleanup_close(&plan.fds[fd]);
        account_done(&account);
        return r;
}
