/* SPDX-License-Identifier: MIT */
#include "cli/copy_helper.h"

#include "archive/name.h"
#include "archive/pack.h"
#include "archive/report.h"
#include "archive/unpack.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* As large as the window of a stream (wire/frame.h). */
#define PIPE_SIZE (256 * 1024)

/* Whoever writes files ends by the end of the pipe, and in order; Ctrl-C in the terminal means us all. The others are killed with
 * their parent, because they may wait for a standard input or output without end. */
static void set_signals(bool writes_files, pid_t parent)
{
        static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

        signal(SIGPIPE, writes_files ? SIG_IGN : SIG_DFL);
        for (size_t i = 0; writes_files && i < ARRAY_SIZE(ends); i++)
                signal(ends[i], SIG_IGN);
        if (!writes_files)
                prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(1);
}

static void run_child(const struct copy *copy, copy_helper_fn fn, int data, int reports) __attribute__((noreturn));
static void run_child(const struct copy *copy, copy_helper_fn fn, int data, int reports)
{
        struct error err = ERROR_INIT;
        int r = fn(copy, data, reports, &err);

        if (r < 0)
                report_error(reports, &err);
        _exit(r < 0 ? 1 : 0);
}

int copy_helper_start(const struct copy *copy, copy_helper_fn fn, bool packs, struct copy_helper *ret, struct error *err)
{
        int data[2] = {-1, -1}, reports[2] = {-1, -1};
        int ours = packs ? 0 : 1;
        pid_t parent = getpid(), pid = -1;

        if (pipe2(data, O_CLOEXEC) == 0 && pipe2(reports, O_CLOEXEC) == 0) {
                fcntl(data[0], F_SETPIPE_SZ, PIPE_SIZE); /* refused to users with many pipes: then it is slower */
                pid = fork();
        }
        if (pid == 0) {
                close(data[ours]);
                close(reports[0]);
                set_signals(!packs && !copy->to.stream, parent);
                run_child(copy, fn, data[!ours], reports[1]);
        }
        if (pid < 0)
                error_errno(err, errno, "cannot start a process for the copy");
        cleanup_close(&data[!ours]);
        cleanup_close(&reports[1]);
        *ret = (struct copy_helper){.pid = pid, .data = data[ours], .reports = reports[0]};
        if (pid >= 0)
                return 0;
        cleanup_close(&ret->data);
        cleanup_close(&ret->reports);
        return -1;
}

/* The VM may send what it was asked for, and nothing else. */
static int unpack_here(const struct copy *copy, int data, struct error *err)
{
        autostrv char **names = NULL;

        for (char *const *path = copy->from.paths; *path; path++)
                strv_push(&names, name_of_source(*path));
        const struct unpack_options options = {
                .fd = data, .target = copy->to.paths[0], .names = names, .into = copy->from.paths[1] != NULL};
        umask(0);
        return unpack(&options, err);
}

int copy_host_side(const struct copy *copy, int data, int reports, struct error *err)
{
        const struct pack_options options = {.fd = data, .reports = reports, .paths = copy->from.paths, .total = !copy->quiet};

        if (copy->from.stream)
                return pack_content(STDIN_FILENO, data, err);
        if (!copy->from.vm)
                return pack(&options, err);
        if (copy->to.stream)
                return unpack_content(data, STDOUT_FILENO, err);
        return unpack_here(copy, data, err);
}
