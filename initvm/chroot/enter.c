/* SPDX-License-Identifier: MIT */
/*
 *   we ── first process of a namespace (confine.h) ── systemd-nspawn ── first process in the chroot (init.h) ── the command
 *
 * Without a terminal all but us are in another process group, so that a signal reaches the command once, through its first
 * process. With one they stay in the foreground, as whose owner systemd-nspawn passes keys and sizes on to the terminal inside.
 */
#include "chroot/enter.h"

#include "base/process.h"
#include "chroot/confine.h"
#include "chroot/init.h"
#include "chroot/native.h"
#include "chroot/native_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const int watched[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

/* systemd's own words: its failures only; files in /tmp on the disk as on any build machine; no lock files that stay; none of its
 * filters of system calls, whose making is four fifths of its work under emulation (chroot/syscalls.h has ours); and nothing that
 * it would tell or ask the terminal by itself (since 256), whose answer might be what somebody types. */
static void set_environment(void)
{
        setenv("SYSTEMD_LOG_LEVEL", "err", 1);
        setenv("SYSTEMD_NSPAWN_TMPFS_TMP", "0", 1);
        setenv("SYSTEMD_NSPAWN_LOCK", "0", 1);
        setenv("SYSTEMD_SECCOMP", "0", 1);
        setenv("SYSTEMD_TINT_BACKGROUND", "0", 1);
        setenv("SYSTEMD_ADJUST_TERMINAL_TITLE", "0", 1);
}

static char **nspawn_argv(const struct enter *e, const struct native_cache *native)
{
        autofree char *host = xstrdup(e->name);
        char **v = NULL;

        for (char *c = host; *c; c++)
                if (*c == '_') /* not in a host name */
                        *c = '-';
        strv_add(&v, "systemd-nspawn");
        for (const char *const *o = (const char *const[]){"--quiet", "--register=no", "--keep-unit", "--settings=no",
                                                          "--link-journal=no", "--timezone=off", "--resolv-conf=bind-host", NULL};
             *o; o++)
                strv_add(&v, *o);
        strv_add(&v, e->terminal ? "--console=interactive" : "--console=pipe");
        if (e->no_network)
                strv_add(&v, "--private-network");
        strv_addf(&v, "--machine=%s", e->overlay->id);
        strv_addf(&v, "--hostname=%.64s", host);
        strv_addf(&v, "--directory=%s", e->overlay->root);
        for (char *const *b = e->binds; b && *b; b++)
                strv_addf(&v, "--bind=%s", *b);
        if (native->folder) /* an overlay of nothing but lower ones: not even root in the chroot can have it writable, for the
                               others */
                strv_addf(&v, "--overlay-ro=%s/none:%s/helpers:" NATIVE_FOLDER, native->folder, native->folder);
        strv_add(&v, "--");
        strv_add(&v, INIT_PROGRAM);
        strv_add(&v, "--chroot-init");
        if (native->folder)
                strv_add(&v, "--native");
        if (e->user)
                strv_addf(&v, "--user=%s", e->user);
        if (e->cwd)
                strv_addf(&v, "--cwd=%s", e->cwd);
        if (e->terminal)
                strv_add(&v, "--terminal");
        for (char *const *k = e->environment; k && *k; k++)
                strv_addf(&v, "--env=%s", *k);
        strv_add(&v, "--");
        for (char *const *a = e->argv; a && *a; a++)
                strv_add(&v, *a);
        return v;
}

/* systemd-nspawn refuses a tree without /usr, which one with a single static program in it need not have. */
static int make_usr(const struct enter *e, struct error *err)
{
        autofree char *usr = xasprintf("%s/usr", e->overlay->root);

        if (mkdir(usr, 0755) < 0 && errno != EEXIST)
                return error_errno(err, errno, "cannot make '/usr' in the chroot");
        return 0;
}

/* The only child of a process; 0 when it has none. */
static pid_t child_of(pid_t pid)
{
        autofree char *path = xasprintf("/proc/%d/task/%d/children", pid, pid);
        autofclose FILE *f = fopen(path, "re");
        char text[32] = "";

        if (!f || !fgets(text, sizeof(text), f))
                return 0;
        return (pid_t)strtol(text, NULL, 10);
}

/* Before there is a first process in the chroot, the signal is meant for us. */
static void pass_on(pid_t first, int signo)
{
        pid_t nspawn = child_of(first), init = nspawn > 0 ? child_of(nspawn) : 0;

        if (init <= 0 || kill(init, signo) < 0)
                kill(first, SIGKILL);
}

/* Returns the wait status; *ret_signo: the last signal that we got, or 0. */
static int wait_for(pid_t first, const sigset_t *signals, int *ret_signo)
{
        const struct timespec grace = {.tv_sec = ENTER_HANGUP_S};
        bool hung_up = false;
        int status;

        while (waitpid(first, &status, WNOHANG) != first) {
                int signo = hung_up ? sigtimedwait(signals, NULL, &grace) : sigwaitinfo(signals, NULL);

                if (signo < 0 && hung_up) {
                        kill(first, SIGKILL);
                        hung_up = false;
                }
                if (signo <= 0 || signo == SIGCHLD)
                        continue;
                hung_up |= signo == SIGHUP;
                *ret_signo = signo;
                pass_on(first, signo);
        }
        return status;
}

/* What became of it: the report of the first process inside; without one systemd-nspawn failed, or was killed. */
static int outcome(int fd, int wait_status, int signo, int *ret_wait_status, struct error *err)
{
        struct init_report report = {.code = ERR_NONE};
        ssize_t n = read(fd, &report, sizeof(report));

        report.message[sizeof(report.message) - 1] = '\0';
        if (n == (ssize_t)sizeof(report) && report.code != ERR_NONE)
                return error_set(err, report.code, "%s", report.message);
        if (n == (ssize_t)sizeof(report))
                *ret_wait_status = report.wait_status;
        else if (signo)
                *ret_wait_status = W_EXITCODE(0, signo);
        else if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == CONFINED_NOT_EXECUTED)
                return error_set(err, ERR_UNSUPPORTED,
                                 "the chroot could not be entered; is systemd-nspawn in the VM? It is in the package "
                                 "systemd-container");
        else if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) > STATUS_SIGNAL)
                return error_set(err, ERR_FAILED, "the command ended with its chroot: systemd-nspawn was killed by signal %d",
                                 WEXITSTATUS(wait_status) - STATUS_SIGNAL);
        else if (WIFEXITED(wait_status))
                return error_set(err, ERR_FAILED, "the chroot could not be entered: systemd-nspawn ended with exit status %d",
                                 WEXITSTATUS(wait_status));
        else
                return error_set(err, ERR_FAILED, "the command was killed from outside of the chroot (signal %d)",
                                 WTERMSIG(wait_status));
        return 0;
}

int enter_run(const struct enter *e, int *ret_wait_status, struct error *err)
{
        autoclose int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        autonativecache struct native_cache native = NATIVE_CACHE_INIT;
        autostrv char **argv = NULL;
        autoclose int report_read = -1, report_write = -1;
        int fds[2], status, signo = 0;
        sigset_t signals, saved;
        pid_t first;

        if (program < 0 || pipe2(fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot enter the chroot '%s'", e->name);
        report_read = fds[0];
        report_write = fds[1];
        fcntl(report_read, F_SETFL, O_NONBLOCK);
        if (make_usr(e, err) < 0)
                return -1;
        if (!e->no_native) /* without helpers everything is as well, if slower */
                native_cache_open(e->overlay->store, e->name, e->overlay->root, &native, NULL);
        argv = nspawn_argv(e, &native);
        set_environment();
        const int passed[] = {program, report_write};
        const struct confined c = {.argv = argv,
                                   .fds = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
                                   .passed = passed,
                                   .n_passed = ARRAY_SIZE(passed),
                                   .own_group = !e->terminal};
        sigemptyset(&signals);
        for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
                sigaddset(&signals, watched[i]);
        sigprocmask(SIG_BLOCK, &signals, &saved);
        if (confined_start(&c, &first, err) < 0) {
                sigprocmask(SIG_SETMASK, &saved, NULL);
                return -1;
        }
        status = wait_for(first, &signals, &signo);
        sigprocmask(SIG_SETMASK, &saved, NULL);
        return outcome(report_read, status, signo, ret_wait_status, err);
}
