/* SPDX-License-Identifier: MIT */
/*
 * Running tools and telling of it.  Holds: when run_tool() returns, no process that it started is left; this program is the
 * subreaper of all of them, and the ones with namespaces of their own die with the namespace's first process.
 */
#include "io/run.h"

#include "base/file.h"
#include "base/json.h"
#include "wire/varlink.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Updates are for eyes. */
#define UPDATE_INTERVAL_MS 250

/* A line of a tool's output that is longer is cut: it is kept for a message, not as data. */
#define LINE_MAX_KEPT 1024

/* A hook tells sentences; more than this without a line end is not one of ours. */
#define REPORT_MAX (256u * 1024)

int run_init(struct run *run, int control, struct error *err)
{
        int report[2];
        sigset_t set;

        *run = (struct run){.control = control, .signals = -1, .report_read = -1, .report_write = -1};
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGPIPE, SIG_IGN);
        run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (run->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || pipe2(report, O_CLOEXEC | O_NONBLOCK) < 0)
                return error_errno(err, errno, "cannot prepare the run");
        run->report_read = report[0];
        run->report_write = report[1];
        return 0;
}

static void tail_clear(struct run *run)
{
        for (size_t i = 0; i < RUN_TAIL_KEPT; i++) {
                free(run->tail[i]);
                run->tail[i] = NULL;
        }
        run->n_tail = 0;
}

void run_done(struct run *run)
{
        tail_clear(run);
        buf_done(&run->reports);
        free(run->stage);
        for (size_t i = 0; i < 3; i++) {
                int fd = (int[]){run->signals, run->report_read, run->report_write}[i];
                if (fd >= 0)
                        close(fd);
        }
}

void run_commit(struct run *run)
{
        run->committed = true;
}

void run_send(struct run *run, struct buf *message)
{
        if (fd_write_all(run->control, buf_head(message), buf_size(message)) < 0)
                run->cancelled = true;
        buf_consume(message, buf_size(message));
}

static void send_progress(struct run *run, struct json_object *progress)
{
        struct json_object *parameters = json_new();
        autobuf struct buf b = {0};

        json_add(parameters, "progress", progress);
        varlink_write_reply(&b, parameters, true);
        run_send(run, &b);
}

static void send_stage(struct run *run, const char *state, const char *text, int percent)
{
        struct json_object *p = json_new();

        json_add_string(p, "stage", run->stage);
        json_add_string(p, "state", state);
        json_add_string(p, "text", text);
        if (percent >= 0)
                json_add_u64(p, "percent", (uint64_t)percent);
        json_add_u64(p, "elapsed", now_ms() - run->stage_start);
        send_progress(run, p);
}

void run_stage(struct run *run, const char *stage, const char *text)
{
        if (run->stage)
                send_stage(run, "end", NULL, -1);
        free(run->stage);
        run->stage = stage ? xstrdup(stage) : NULL;
        run->stage_start = now_ms();
        run->last_update = 0;
        if (stage) {
                dprintf(STDERR_FILENO, "== %s: %s\n", stage, text);
                send_stage(run, "begin", text, -1);
        }
}

void run_update(struct run *run, const char *text, int percent)
{
        uint64_t now = now_ms();

        if (!run->stage || now - run->last_update < UPDATE_INTERVAL_MS)
                return;
        run->last_update = now;
        send_stage(run, "update", text, percent);
}

void run_warning(struct run *run, const char *text)
{
        struct json_object *p = json_new();

        dprintf(STDERR_FILENO, "warning: %s\n", text);
        json_add_string(p, "warning", text);
        send_progress(run, p);
}

/* One line that a hook told: a stage begun, or how it failed. */
static void take_report(struct run *run, const char *line, size_t n)
{
        struct error ignored = ERROR_INIT;
        autojson struct json_object *o = json_parse(line, n, &ignored);
        const char *stage = json_get_string(o, "stage", NULL), *error = json_get_string(o, "error", NULL);

        if (stage)
                run_stage(run, stage, json_get_string(o, "text", stage));
        if (error)
                error_set(&run->hook_error, error_from_wire_name(error), "%s", json_get_string(o, "message", ""));
}

static void read_reports(struct run *run)
{
        ssize_t n;

        while ((n = read(run->report_read, buf_reserve(&run->reports, 4096), 4096)) > 0)
                buf_commit(&run->reports, (size_t)n);
        for (char *end; buf_size(&run->reports) > 0 && (end = memchr(buf_head(&run->reports), '\n', buf_size(&run->reports)));) {
                size_t length = (size_t)(end - (char *)buf_head(&run->reports));

                take_report(run, (const char *)buf_head(&run->reports), length);
                buf_consume(&run->reports, length + 1);
        }
        if (buf_size(&run->reports) > REPORT_MAX)
                buf_consume(&run->reports, buf_size(&run->reports));
}

static void take_line(struct run *run, const struct run_tool *tool, const char *s, size_t n)
{
        char **slot = &run->tail[run->n_tail % RUN_TAIL_KEPT];

        while (n > 0 && isspace((unsigned char)s[n - 1]))
                n--;
        if (n == 0)
                return;
        free(*slot);
        *slot = xstrndup(s, MIN(n, (size_t)LINE_MAX_KEPT));
        /* The message ends up in JSON and on terminals. */
        for (char *c = *slot; *c; c++)
                if (iscntrl((unsigned char)*c) || (unsigned char)*c >= 0x80)
                        *c = *c == '\t' ? ' ' : '?';
        run->n_tail++;
        dprintf(STDERR_FILENO, "%s\n", *slot);
        if (tool->line)
                tool->line(tool->userdata, *slot);
}

/* Splits at line ends and at carriage returns, by which progress bars overwrite themselves. */
static void take_output(struct run *run, const struct run_tool *tool, struct buf *b, bool all)
{
        for (;;) {
                const char *s = (const char *)buf_head(b);
                size_t size = buf_size(b), n = 0;

                while (n < size && s[n] != '\n' && s[n] != '\r')
                        n++;
                if (n == size && !(all && size > 0) && size < LINE_MAX_KEPT)
                        return;
                take_line(run, tool, s, n);
                buf_consume(b, MIN(n + 1, size));
        }
}

/* Kills the group and whatever of it was orphaned to us, and waits until all are gone. */
static void kill_all(pid_t group)
{
        int status;

        kill(-group, SIGKILL);
        for (;;) {
                pid_t pid = waitpid(-1, &status, WNOHANG);
                autofclose FILE *f = NULL;
                int child;

                if (pid < 0 && errno != EINTR)
                        return;
                if (pid != 0)
                        continue;
                f = fopen("/proc/thread-self/children", "re");
                while (f && fscanf(f, "%d", &child) == 1)
                        kill(child, SIGKILL);
                waitpid(-1, &status, 0);
        }
}

/* Our caller closed its end, or somebody wants us to stop. */
static bool is_cancelled(struct run *run)
{
        struct signalfd_siginfo info;
        char junk[256];
        ssize_t n;

        if (run->committed)
                return false;
        if (read(run->signals, &info, sizeof(info)) > 0)
                run->cancelled = true;
        n = recv(run->control, junk, sizeof(junk), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                run->cancelled = true;
        return run->cancelled;
}

static const char *tool_name(const struct run_tool *tool)
{
        return tool->name ? tool->name : tool->argv[0];
}

/* Until the tool ends; *ret_status is how. Its output may go on in an orphan: what is there is taken, nothing is waited for. */
static int watch(struct run *run, const struct run_tool *tool, pid_t pid, int output, int *ret_status, struct error *err)
{
        autoclose int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        autobuf struct buf b = {0};
        uint64_t deadline = now_ms() + tool->timeout * 1000ull;
        bool ended = false;

        if (pidfd < 0)
                return error_errno(err, errno, "cannot watch '%s'", tool_name(tool));
        while (!ended) {
                struct pollfd fds[] = {
                        {.fd = pidfd, .events = POLLIN},
                        {.fd = output, .events = POLLIN},
                        {.fd = run->committed ? -1 : run->control, .events = POLLIN},
                        {.fd = run->committed ? -1 : run->signals, .events = POLLIN},
                        {.fd = run->report_read, .events = POLLIN},
                };
                int wait = tool->timeout ? (int)MIN(deadline - MIN(deadline, now_ms()), (uint64_t)INT32_MAX) : -1;
                int ready = poll(fds, ARRAY_SIZE(fds), wait);
                ssize_t n;

                if (ready < 0 && errno != EINTR)
                        return error_errno(err, errno, "cannot watch '%s'", tool_name(tool));
                if (ready == 0)
                        return error_set(err, ERR_TIMEOUT, "'%s' was silent for %u s and was ended", tool_name(tool),
                                         tool->timeout);
                if (is_cancelled(run))
                        return error_set(err, ERR_CANCELLED, "cancelled");
                ended = fds[0].revents != 0;
                while ((n = read(output, buf_reserve(&b, 16384), 16384)) > 0) {
                        buf_commit(&b, (size_t)n);
                        take_output(run, tool, &b, false);
                        deadline = now_ms() + tool->timeout * 1000ull;
                }
                if (n == 0) /* all writers are gone: only the end is still to come */
                        output = -1;
                read_reports(run);
        }
        take_output(run, tool, &b, true);
        while (waitpid(pid, ret_status, 0) < 0)
                if (errno != EINTR)
                        return error_errno(err, errno, "waiting for '%s'", tool_name(tool));
        return 0;
}

int run_tool(struct run *run, const struct run_tool *tool, struct error *err)
{
        struct process_fd fds[12];
        struct process_options options = {
                .fds = fds, .environment = tool->environment, .cwd = tool->cwd, .new_group = true, .death_signal = SIGKILL};
        autoclose int output = -1;
        int pipe_fds[2], status, result;
        pid_t pid;

        if (is_cancelled(run))
                return error_set(err, ERR_CANCELLED, "cancelled");
        if (tool->n_fds + 2 > ARRAY_SIZE(fds) || pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot start '%s'", tool_name(tool));
        tail_clear(run);
        run->noise = tool->noise;
        output = pipe_fds[0];
        fd_set_nonblock(output, true);
        fds[0] = (struct process_fd){pipe_fds[1], 1};
        fds[1] = (struct process_fd){pipe_fds[1], 2};
        for (size_t i = 0; i < tool->n_fds; i++)
                fds[i + 2] = tool->fds[i];
        options.n_fds = tool->n_fds + 2;
        result = process_spawn(tool->argv, &options, &pid, err);
        close(pipe_fds[1]);
        if (result < 0)
                return -1;
        result = watch(run, tool, pid, output, &status, err);
        kill_all(pid);
        if (result < 0)
                return -1;
        if (tool->ret_exit && WIFEXITED(status))
                *tool->ret_exit = WEXITSTATUS(status);
        else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return error_set(err, ERR_FAILED, "'%s' has ended (%s)", tool_name(tool), process_status_text(status));
        return 0;
}

const char *run_tail(const struct run *run, size_t i)
{
        if (i >= run->n_tail || i >= RUN_TAIL_KEPT)
                return NULL;
        return run->tail[(run->n_tail - 1 - i) % RUN_TAIL_KEPT];
}

const char *run_tail_find(const struct run *run, const char *text)
{
        const char *line;

        for (size_t i = 0; (line = run_tail(run, i)); i++)
                if (strstr(line, text))
                        return line;
        return NULL;
}

static bool is_meaningful(const struct run *run, const char *line)
{
        for (const char *const *prefix = run->noise; prefix && *prefix; prefix++)
                if (str_has_prefix(line, *prefix))
                        return false;
        return true;
}

int run_explain(const struct run *run, struct error *err)
{
        autobuf struct buf b = {0};
        autofree char *lines = NULL;
        size_t n = 0, n_shown = 0;

        for (const char *line; n_shown < RUN_TAIL_SHOWN && (line = run_tail(run, n));)
                n++, n_shown += is_meaningful(run, line);
        while (n-- > 0)
                if (is_meaningful(run, run_tail(run, n)))
                        buf_printf(&b, "\n  %s", run_tail(run, n));
        lines = buf_take_string(&b);
        if (err)
                strncat(err->message, lines, sizeof(err->message) - strlen(err->message) - 1);
        return -1;
}
