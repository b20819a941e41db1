/* SPDX-License-Identifier: MIT */
#include "cli/daemon.h"

#include "base/file.h"
#include "base/process.h"
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What an error quotes of the log of a daemon that did not come up. */
#define LOG_LINES 5
#define LOG_BYTES 2000

/* The fd on which a daemon that we start tells that it listens. */
#define READY_FD 3

/* How often a daemon that ends before it has answered is followed by a try with the next one. */
#define CONNECT_TRIES 3

/* One that is told to stop lets go of libvirt first, which takes seconds. */
#define DAEMON_END_MS 10000

char *daemon_log(struct error *err)
{
        struct paths paths;
        char *log;

        if (paths_init(&paths, err) < 0)
                return NULL;
        log = take_ptr(paths.log);
        paths_done(&paths);
        return log;
}

int daemon_connect_running(struct client **ret, struct error *err)
{
        struct paths paths;

        if (paths_init(&paths, err) < 0)
                return -1;
        *ret = client_connect(paths.socket, err);
        paths_done(&paths);
        return *ret ? 0 : -1;
}

/* The last lines that the log has behind `from`: what the daemon of this start had to say. Owned. */
static char *log_tail(const char *path, off_t from)
{
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        char text[LOG_BYTES + 1];
        struct stat st;
        const char *at;
        ssize_t n = 0;
        int lines = 0;

        if (fd >= 0 && fstat(fd, &st) == 0)
                n = pread(fd, text, LOG_BYTES, MAX(from, st.st_size - LOG_BYTES));
        n = MAX(n, 0);
        if (n > 0 && text[n - 1] == '\n')
                n--;
        text[n] = '\0';
        for (at = text + n; at > text; at--)
                if (at[-1] == '\n' && ++lines == LOG_LINES)
                        break;
        return xasprintf("%s%s", *at ? ":\n" : "", at);
}

static int start_failed(const struct paths *paths, off_t log_begin, const char *why, struct error *err)
{
        autofree char *tail = log_tail(paths->log, log_begin);

        return error_set(err, ERR_FAILED, "the daemon did not start: %s; its log is '%s'%s", why, paths->log, tail);
}

/* Waits until the daemon has written its one byte. More is the text of an error; the end without any is a crash. */
static int wait_ready(const struct paths *paths, int fd, pid_t pid, off_t log_begin, struct error *err)
{
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint64_t end = now_ms() + DAEMON_START_DEADLINE_MS;
        char text[ERROR_MESSAGE_MAX];
        ssize_t n;
        int r;

        do {
                uint64_t now = now_ms();
                r = poll(&p, 1, now < end ? (int)(end - now) : 0);
        } while (r < 0 && errno == EINTR);
        if (r == 0) {
                kill(pid, SIGTERM);
                return start_failed(paths, log_begin, "it was not ready within its deadline of 60 s", err);
        }
        n = read(fd, text, sizeof(text) - 1);
        if (n == 1)
                return 0;
        if (n <= 0)
                return start_failed(paths, log_begin, "it ended at once", err);
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return error_set(err, ERR_FAILED, "the daemon did not start: %s", text);
}

static int spawn(const struct paths *paths, struct error *err)
{
        autofree char *program = paths_program("initvmd", err);
        autoclose int log = -1, ready = -1, told = -1;
        int pipe_fds[2];
        struct stat st;
        pid_t pid;

        if (!program)
                return -1;
        log = open(paths->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (log < 0 || fstat(log, &st) < 0)
                return error_errno(err, errno, "cannot write the daemon's log '%s'", paths->log);
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot start the daemon");
        ready = pipe_fds[0];
        told = pipe_fds[1];
        const struct process_fd fds[] = {{log, STDOUT_FILENO}, {log, STDERR_FILENO}, {told, READY_FD}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds), .cwd = "/", .new_session = true};
        char *argv[] = {program, (char *)"--ready-fd", (char *)"3", NULL};

        if (process_spawn(argv, &options, &pid, err) < 0)
                return -1;
        close(take_fd(&told)); /* only the daemon's end is left: its death is seen */
        return wait_ready(paths, ready, pid, st.st_size, err);
}

/* Under a lock, so that of several commands at once one starts it and the others find it. */
static int start(const struct paths *paths, struct client **ret, struct error *err)
{
        autofree char *lock_path = xasprintf("%s/start.lock", paths->runtime);
        autoclose int lock = -1;

        if (paths_make(paths, err) < 0)
                return -1;
        lock = file_lock(lock_path, true, err);
        if (lock < 0)
                return -1;
        *ret = client_connect(paths->socket, err);
        if (*ret)
                return 0;
        if (err->code != ERR_NOT_FOUND || spawn(paths, err) < 0)
                return -1;
        *ret = client_connect(paths->socket, err);
        return *ret ? 0 : -1;
}

void daemon_await_end(int process)
{
        struct pollfd p = {.fd = process, .events = POLLIN};

        if (process >= 0)
                poll(&p, 1, DAEMON_END_MS);
}

static int connect_or_start(struct client **ret, struct error *err)
{
        struct paths paths;
        int r = 0;

        if (paths_init(&paths, err) < 0)
                return -1;
        *ret = client_connect(paths.socket, err);
        if (!*ret)
                r = err->code == ERR_NOT_FOUND ? start(&paths, ret, err) : -1;
        paths_done(&paths);
        return r;
}

/* The first call, which changes nothing. An old daemon that still runs after an upgrade is worth a word. */
static int compare_versions(struct client *c, struct error *err)
{
        autojson struct json_object *status = NULL;
        const char *version;

        if (client_call(c, "org.initvm.GetStatus", NULL, 0, CALL_DEADLINE_MS, &status, err) < 0)
                return -1;
        version = json_get_string(status, "version", "unknown");
        if (!streq(version, INITVM_VERSION))
                fprintf(stderr,
                        "initvm: %swarning:%s the daemon is version %s, this program %s: 'initvm daemon stop' ends it, and the "
                        "next command starts the new one; VMs go on running\n",
                        terminal_style(STDERR_FILENO, STYLE_YELLOW), terminal_style(STDERR_FILENO, STYLE_RESET), version,
                        INITVM_VERSION);
        return 0;
}

int daemon_connect(struct client **ret, struct error *err)
{
        struct error failed = ERROR_INIT; /* of a try; *err stays as it is when the next one succeeds */

        for (int i = 0; i < CONNECT_TRIES; i++) {
                autoclient struct client *c = NULL;
                autoclose int process = -1;

                if (connect_or_start(&c, &failed) < 0)
                        break;
                process = client_peer_process(c);
                if (compare_versions(c, &failed) == 0) {
                        *ret = take_ptr(c);
                        return 0;
                }
                if (failed.code != ERR_DISCONNECTED)
                        break;
                daemon_await_end(process);
        }
        *err = failed;
        return -1;
}

int daemon_call(const char *method, struct json_object *parameters, struct json_object **ret, struct error *err)
{
        autoclient struct client *c = NULL;

        if (daemon_connect(&c, err) < 0) {
                json_object_put(parameters);
                return -1;
        }
        return client_call(c, method, parameters, 0, CALL_DEADLINE_MS, ret, err);
}
