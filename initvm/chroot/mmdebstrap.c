/* SPDX-License-Identifier: MIT */
#include "chroot/mmdebstrap.h"

#include "archive/report.h"
#include "base/util.h"
#include "chroot/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_MAX_KEPT 1024

/* Under emulation a large set of packages takes an hour; it is meant for what hangs. */
#define MMDEBSTRAP_TIMEOUT_MS (6u * 3600 * 1000)

/* The last lines that an error quotes, when mmdebstrap gives no reason of its own. */
#define TAIL_SHOWN 4

struct saying {
        bool stages;
        struct buf line;
        char *reason; /* the first line "E: ..." */
        char *tail[TAIL_SHOWN];
        size_t n_tail;
};

/* ---- what mmdebstrap says */

static void stage_of(const char *line)
{
        static const struct {
                const char *begin, *stage, *text;
        } stages[] = {
                {"I: running apt-get update", "update", "reading the lists of packages"},
                {"I: downloading packages", "download", "downloading packages"},
                {"I: extracting archives", "extract", "extracting the essential packages"},
                {"I: installing essential packages", "essential", "installing the essential packages"},
                {"I: installing remaining packages", "packages", "installing the other packages"},
                {"I: cleaning package lists", "clean", "cleaning up"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
                if (str_has_prefix(line, stages[i].begin))
                        report_progress(STDERR_FILENO, stages[i].stage, stages[i].text);
}

/* What says no more than that it failed, or nothing at all. */
static bool is_noise(const char *line)
{
        static const char *const noise[] = {"I: ",
                                            "E: mmdebstrap failed",
                                            "E: apt-get ",
                                            "E: Some index files",
                                            "E: command failed",
                                            "Reading package lists"};

        for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
                if (str_has_prefix(line, noise[i]))
                        return true;
        return *line == '\0';
}

static void take_line(struct saying *s)
{
        autofree char *line = buf_take_string(&s->line);

        if (s->stages)
                stage_of(line);
        if (is_noise(line))
                return;
        if (!s->reason && str_has_prefix(line, "E: "))
                s->reason = xstrdup(line + strlen("E: "));
        free(s->tail[s->n_tail % TAIL_SHOWN]);
        s->tail[s->n_tail++ % TAIL_SHOWN] = take_ptr(line);
}

static void take_output(struct saying *s, const char *data, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (data[i] == '\n')
                        take_line(s);
                else if (buf_size(&s->line) < LINE_MAX_KEPT)
                        buf_append(&s->line, data + i, 1);
}

/* Its own reason first, then the lines before its end. */
static int explain(struct saying *s, struct error *err)
{
        struct buf b = {0};
        autofree char *text = NULL;

        for (size_t i = s->n_tail > TAIL_SHOWN ? s->n_tail - TAIL_SHOWN : 0; i < s->n_tail; i++) {
                const char *line = s->tail[i % TAIL_SHOWN];

                if (!s->reason || !strstr(line, s->reason))
                        buf_printf(&b, " | %s", line);
        }
        text = buf_take_string(&b);
        if (strstr(text, "No space left on device") || (s->reason && strstr(s->reason, "No space left on device")))
                return error_set(err, ERR_NO_SPACE, "no space is left on the VM's disk; remove chroots, or make a larger VM");
        return error_set(err, ERR_FAILED, "mmdebstrap could not make the chroot: %s%s",
                         s->reason ? s->reason : "it gave no reason", text);
}

/* ---- running it */

static int open_signals(void)
{
        sigset_t signals;

        sigemptyset(&signals);
        for (const int *s = (const int[]){SIGTERM, SIGINT, SIGHUP, SIGQUIT, 0}; *s; s++)
                sigaddset(&signals, *s);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        return signalfd(-1, &signals, SFD_CLOEXEC);
}

/* Reads its output to the end; kills it when we are told to end, or it takes too long. */
static int follow(struct saying *s, pid_t pid, int output, int signals, struct error *err)
{
        struct pollfd fds[] = {{.fd = output, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        uint64_t end = now_ms() + MMDEBSTRAP_TIMEOUT_MS;
        char data[4096];
        ssize_t n = 1;

        while (n != 0) {
                uint64_t now = now_ms();
                int r = now < end ? poll(fds, ARRAY_SIZE(fds), (int)(end - now)) : 0;

                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0 || fds[1].revents) {
                        kill(pid, SIGKILL);
                        return r > 0 ? error_set(err, ERR_CANCELLED, "cancelled")
                                     : error_set(err, ERR_TIMEOUT, "mmdebstrap did not end within %u h",
                                                 MMDEBSTRAP_TIMEOUT_MS / 3600 / 1000);
                }
                n = read(output, data, sizeof(data));
                if (n > 0)
                        take_output(s, data, (size_t)n);
                else if (n < 0 && errno != EINTR)
                        n = 0;
        }
        return 0;
}

static int run(struct saying *s, char *const *argv, struct error *err)
{
        autoclose int output = -1, written = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC), signals = open_signals();
        int fds[2], status = 0, r;
        pid_t pid;

        if (null < 0 || signals < 0 || pipe2(fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot start mmdebstrap");
        output = fds[0];
        written = fds[1];
        const struct confined c = {.argv = argv, .fds = {null, written, written}, .own_group = true};
        if (confined_start(&c, &pid, err) < 0)
                return -1;
        close(take_fd(&written));
        r = follow(s, pid, output, signals, err);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return -1;
        if (WIFEXITED(status) && WEXITSTATUS(status) == CONFINED_NOT_EXECUTED)
                return error_set(err, ERR_UNSUPPORTED,
                                 "mmdebstrap could not be started; is it in the VM? It is in the package mmdebstrap");
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : explain(s, err);
}

int mmdebstrap_run(char *const *argv, bool stages, struct error *err)
{
        struct saying s = {.stages = stages};
        int r = run(&s, argv, err);

        free(s.reason);
        for (size_t i = 0; i < TAIL_SHOWN; i++)
                free(s.tail[i]);
        buf_done(&s.line);
        return r;
}
