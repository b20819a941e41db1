/* SPDX-License-Identifier: MIT */
#include "chroot/confined_lines.h"

#include "base/process.h"
#include "base/util.h"
#include "chroot/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_signals(void)
{
        sigset_t signals;

        sigemptyset(&signals);
        for (const int *s = (const int[]){SIGTERM, SIGINT, SIGHUP, SIGQUIT, 0}; *s; s++)
                sigaddset(&signals, *s);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        return signalfd(-1, &signals, SFD_CLOEXEC);
}

static void take_line(const struct confined_lines *c, struct buf *line)
{
        autofree char *text = buf_take_string(line);

        c->line(c->userdata, text);
}

static void take_output(const struct confined_lines *c, struct buf *line, const char *data, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (data[i] == '\n')
                        take_line(c, line);
                else if (buf_size(line) < CONFINED_LINE_MAX)
                        buf_append(line, data + i, 1);
}

/* To the end of its output. */
static int follow(const struct confined_lines *c, int output, int signals, struct error *err)
{
        struct pollfd fds[] = {{.fd = output, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        uint64_t end = now_ms() + c->timeout_ms;
        autobuf struct buf line = {0};
        char data[4096];
        ssize_t n = 1;

        while (n != 0) {
                uint64_t now = now_ms();
                int r = now < end ? poll(fds, ARRAY_SIZE(fds), (int)(end - now)) : 0;

                if (r < 0 && errno == EINTR)
                        continue;
                if (r > 0 && fds[1].revents)
                        return error_set(err, ERR_CANCELLED, "cancelled");
                if (r <= 0)
                        return error_set(err, ERR_TIMEOUT, "'%s' did not end within %u min", c->argv[0],
                                         (unsigned)(c->timeout_ms / 60000));
                n = read(output, data, sizeof(data));
                if (n > 0)
                        take_output(c, &line, data, (size_t)n);
                else if (n < 0 && errno != EINTR)
                        n = 0;
        }
        if (buf_size(&line) > 0)
                take_line(c, &line);
        return 0;
}

int confined_lines_run(const struct confined_lines *c, int *ret_status, struct error *err)
{
        autoclose int output = -1, written = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC), signals = open_signals();
        int fds[2], status = 0, r;
        pid_t pid;

        if (null < 0 || signals < 0 || pipe2(fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot start '%s'", c->argv[0]);
        output = fds[0];
        written = fds[1];
        const struct confined confined = {.argv = c->argv, .fds = {null, written, written}, .own_group = true};
        if (confined_start(&confined, &pid, err) < 0)
                return -1;
        close(take_fd(&written));
        r = follow(c, output, signals, err);
        if (r < 0)
                kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        *ret_status = process_exit_status(status);
        return r;
}
