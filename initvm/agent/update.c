/* SPDX-License-Identifier: MIT */
#include "agent/update.h"

#include "agent/handover.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "wire/varlink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct update {
        struct agent *agent;
        struct stream *stream; /* NULL: the host has lost interest */
        char *program;         /* the running one's path */
        char *path;            /* the new one's, until it is renamed */
        int fd;                /* -1 when it is whole */
        uint64_t missing;      /* bytes */
        pid_t pid;
        struct loop_source *check, *deadline;
};

static void update_free(struct update *u)
{
        cleanup_close(&u->fd);
        if (u->path)
                unlink(u->path);
        if (u->check) {
                kill(u->pid, SIGKILL); /* it becomes a zombie, and goes with the agent */
                loop_source_free(u->check);
        }
        loop_source_free(u->deadline);
        free(u->path);
        free(u->program);
        u->agent->updating = false;
        free(u);
}

static void fail(struct update *u, const struct error *err)
{
        log_warning("update: %s", err->message);
        if (u->stream)
                stream_fail(take_ptr(u->stream), err);
        update_free(u);
}

static void on_checked(void *userdata, int wait_status)
{
        struct update *u = userdata;
        struct agent *agent = u->agent;
        struct error err = ERROR_INIT;

        loop_source_free(take_ptr(u->check));
        if (wait_status != 0) {
                error_set(&err, ERR_UNSUPPORTED, "the new agent does not run in the VM, or cannot take over: %s",
                          process_status_text(wait_status));
                fail(u, &err);
                return;
        }
        if (rename(u->path, u->program) < 0) {
                error_errno(&err, errno, "cannot put the new agent in the place of '%s'", u->program);
                fail(u, &err);
                return;
        }
        free(take_ptr(u->path));
        if (u->stream) {
                stream_reply(u->stream, varlink_reply_new(NULL, false));
                stream_close(take_ptr(u->stream));
        }
        agent->new_program = take_ptr(u->program);
        update_free(u);
        handover_soon(agent);
}

static void on_deadline(void *userdata)
{
        struct update *u = userdata;
        struct error err = ERROR_INIT;

        error_set(&err, ERR_TIMEOUT, "the new agent did not answer within %d s", UPDATE_CHECK_TIMEOUT_MS / 1000);
        fail(u, &err);
}

static void check_program(struct update *u)
{
        char *const argv[] = {u->path, (char *)"--check-resume", (char *)HANDOVER_FORMAT, NULL};
        static const struct process_options options = {0};
        struct error err = ERROR_INIT;

        if (fsync(u->fd) < 0 || fchmod(u->fd, 0755) < 0 || close(take_fd(&u->fd)) < 0) {
                error_errno(&err, errno, "cannot write '%s' in the VM", u->path);
                fail(u, &err);
                return;
        }
        if (process_spawn(argv, &options, &u->pid, &err) < 0) {
                error_prefix(&err, "the new agent does not run in the VM");
                fail(u, &err);
                return;
        }
        u->check = loop_add_child(u->agent->loop, u->pid, on_checked, u);
        u->deadline = loop_add_timer(u->agent->loop, on_deadline, u);
        loop_timer_arm(u->deadline, UPDATE_CHECK_TIMEOUT_MS);
}

static void on_data(void *userdata, const uint8_t *data, size_t n)
{
        struct update *u = userdata;
        struct error err = ERROR_INIT;

        if (n > u->missing) {
                error_set(&err, ERR_PROTOCOL, "more bytes of the new agent than were announced");
                fail(u, &err);
                return;
        }
        if (fd_write_all(u->fd, data, n) < 0) {
                error_errno(&err, errno, "cannot write '%s' in the VM", u->path);
                fail(u, &err);
                return;
        }
        u->missing -= n;
        stream_grant(u->stream, n);
        if (u->missing == 0)
                check_program(u);
}

static void on_eof(void *userdata)
{
        struct update *u = userdata;
        struct error err = ERROR_INIT;

        if (u->missing == 0)
                return;
        error_set(&err, ERR_PROTOCOL, "the new agent is %llu bytes short", (unsigned long long)u->missing);
        fail(u, &err);
}

static void on_closed(void *userdata)
{
        struct update *u = userdata;

        u->stream = NULL;
        if (u->missing > 0)
                update_free(u);
        /* else it is whole, and taken all the same */
}

/* The running program's path; one that was replaced or removed meanwhile is called so by the kernel, see proc(5). */
static char *own_path(void)
{
        static const char deleted[] = " (deleted)";
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

        if (n < 0)
                return xstrdup("/usr/lib/initvm/initvm-agent"); /* without /proc: where it is installed */
        path[n] = '\0';
        if (str_has_suffix(path, deleted))
                path[(size_t)n - strlen(deleted)] = '\0';
        return xstrdup(path);
}

void update_start(struct agent *agent, struct stream *stream, uint64_t size)
{
        static const struct stream_ops ops = {.data = on_data, .eof = on_eof, .closed = on_closed};
        struct error err = ERROR_INIT;
        struct update *u;

        if (agent->updating || agent->new_program) {
                error_set(&err, ERR_STATE, "the agent is being replaced already");
                stream_fail(stream, &err);
                return;
        }
        agent->updating = true;
        u = xcalloc(1, sizeof(*u));
        u->agent = agent;
        u->stream = stream;
        u->missing = size;
        u->program = own_path();
        u->path = xasprintf("%s.new", u->program); /* the same each time: what an agent that was killed left is written over */
        u->fd = open(u->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
        stream_take(stream, &ops, u);
        if (u->fd < 0) {
                error_errno(&err, errno, "cannot make '%s' in the VM", u->path);
                fail(u, &err);
        }
}
