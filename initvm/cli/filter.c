/* SPDX-License-Identifier: MIT */
#include "cli/filter.h"

#include "archive/report.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* As large as the window of a stream (wire/frame.h). */
#define PIPE_SIZE (256 * 1024)

static void run_child(filter_fn fn, const void *userdata, int fd, int errors, pid_t parent) __attribute__((noreturn));
static void run_child(filter_fn fn, const void *userdata, int fd, int errors, pid_t parent)
{
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
        struct error err = ERROR_INIT;
        sigset_t none;
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                signal(signals[i], SIG_DFL);
        signal(SIGPIPE, SIG_IGN); /* a reader that went away is told by EPIPE */
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(1);
        setpgid(0, 0); /* Ctrl-C is for the one that we work for */
        r = fn(userdata, fd, &err);
        if (r < 0)
                report_error(errors, &err);
        _exit(r < 0 ? 1 : 0);
}

int filter_start(struct filter *f, filter_fn fn, const void *userdata, bool reads, struct error *err)
{
        int data[2] = {-1, -1}, errors[2] = {-1, -1}, ours = reads ? 1 : 0;
        pid_t parent = getpid(), pid = -1;

        if (pipe2(data, O_CLOEXEC) == 0 && pipe2(errors, O_CLOEXEC) == 0) {
                fcntl(data[0], F_SETPIPE_SZ, PIPE_SIZE); /* refused to users with many pipes: then it is slower */
                pid = fork();
        }
        if (pid == 0) {
                close(data[ours]);
                close(errors[0]);
                run_child(fn, userdata, data[!ours], errors[1], parent);
        }
        if (pid < 0)
                error_errno(err, errno, "cannot start a process for the archive");
        cleanup_close(&data[!ours]);
        cleanup_close(&errors[1]);
        *f = (struct filter){.pid = pid, .fd = data[ours], .errors = errors[0]};
        if (pid > 0)
                return 0;
        cleanup_close(&f->fd);
        cleanup_close(&f->errors);
        *f = (struct filter)FILTER_INIT;
        return -1;
}

static void ignore_warning(void *userdata, const char *text)
{
        (void)userdata;
        (void)text;
}

int filter_end(struct filter *f, bool abandon, struct error *err)
{
        struct report_reader reports = {.warning = ignore_warning};
        char data[4096];
        int status = 0, r = 0;
        ssize_t n;

        if (f->pid < 0)
                return 0;
        cleanup_close(&f->fd);
        if (abandon)
                kill(f->pid, SIGKILL);
        while ((n = read(f->errors, data, sizeof(data))) > 0 || (n < 0 && errno == EINTR))
                report_read(&reports, data, (size_t)MAX(n, 0));
        while (waitpid(f->pid, &status, 0) < 0 && errno == EINTR)
                ;
        cleanup_close(&f->errors);
        if (reports.error.code) {
                *err = reports.error;
                r = -1;
        } else if (!abandon && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
                r = error_set(err, ERR_FAILED, "the process for the archive ended unexpectedly");
        }
        report_reader_done(&reports);
        *f = (struct filter)FILTER_INIT;
        return r;
}

int filter_join(struct filter *f, int r, struct error *err)
{
        struct error filter_error = ERROR_INIT;

        if (filter_end(f, r != 0, &filter_error) < 0 && (r == 0 || (r < 0 && filter_error.code != ERR_DISCONNECTED))) {
                *err = filter_error;
                return -1;
        }
        return r;
}
