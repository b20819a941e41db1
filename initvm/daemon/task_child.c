/* SPDX-License-Identifier: MIT */
#include "daemon/task_child.h"

#include "base/file.h"
#include "base/paths.h"
#include "base/process.h"
#include "daemon/reaper.h"
#include "io/conn.h"
#include "wire/varlink.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_TAIL 1500 /* bytes of the log that are quoted when the child died without a word */

struct task_child {
        struct loop *loop;
        pid_t pid;
        const char *program;
        char *log;
        struct conn *conn;
        struct loop_source *exit;
        task_child_progress_fn progress;
        task_child_done_fn done;
        void *userdata;
        int wait_status;
        bool ended; /* its end of the connection */
        bool answered;
        struct json_object *result; /* of the answer; NULL: it is `err` */
        struct error err;
};

/* What counts is the first answer; it is told when the child is gone, and with it what it holds. */
static void keep_answer(struct task_child *c, struct json_object *result, const struct error *err)
{
        if (c->answered)
                return;
        c->answered = true;
        if (err)
                c->err = *err;
        else
                c->result = result ? json_object_get(result) : json_new();
}

/* One message: false when that was the last one. */
static bool take_message(struct task_child *c, struct json_object *message)
{
        struct error err = ERROR_INIT;
        struct json_object *parameters = NULL, *progress;
        bool continues = false;

        if (varlink_read_reply(message, &parameters, &continues, &err) < 0) {
                keep_answer(c, NULL, &err);
                return false;
        }
        if (!continues) {
                keep_answer(c, parameters, NULL);
                return false;
        }
        progress = json_get(parameters, "progress");
        if (progress && c->progress)
                c->progress(c->userdata, json_object_get(progress));
        return true;
}

static void on_input(void *userdata)
{
        struct task_child *c = userdata;

        for (;;) {
                struct error err = ERROR_INIT;
                autojson struct json_object *message = NULL;
                int r = varlink_take(conn_input(c->conn), &message, &err);

                if (r == 0)
                        return;
                if (r < 0) {
                        error_prefix(&err, "%s", c->program);
                        keep_answer(c, NULL, &err);
                        task_child_cancel(c); /* or we would wait for an end that nothing brings about */
                        return;
                }
                if (!take_message(c, message))
                        return;
        }
}

static void explain_exit(struct task_child *c)
{
        struct error err = ERROR_INIT;
        autofree char *text = file_read(c->log, 16u << 20, NULL, NULL);
        size_t n = text ? strlen(text) : 0;

        error_set(&err, ERR_FAILED, "%s ended without a result (%s)%s%s", c->program, process_status_text(c->wait_status),
                  n ? "; its log ends with:\n" : "", n ? text + (n > LOG_TAIL ? n - LOG_TAIL : 0) : "");
        keep_answer(c, NULL, &err);
}

/* When it has gone and all that it said was heard, in whichever order that is noticed. */
static void tell_when_gone(struct task_child *c)
{
        if (c->pid > 0 || !c->ended)
                return;
        if (!c->answered)
                explain_exit(c);
        autojson struct json_object *result = take_ptr(c->result);
        struct error err = c->err;
        c->done(c->userdata, result, result ? NULL : &err); /* frees us */
}

static void on_ended(void *userdata)
{
        struct task_child *c = userdata;

        c->ended = true;
        tell_when_gone(c);
}

static void on_child_exit(void *userdata, int wait_status)
{
        struct task_child *c = userdata;

        c->pid = 0;
        c->wait_status = wait_status;
        tell_when_gone(c);
}

static const struct conn_events conn_events = {.input = on_input, .ended = on_ended};

/* Our environment with the mark by which recovery finds what belongs to this folder. */
static char **child_environment(const char *folder)
{
        char **environment = NULL;

        for (char **e = environ; *e; e++)
                if (!str_has_prefix(*e, TASK_FOLDER_VARIABLE "="))
                        strv_add(&environment, *e);
        strv_addf(&environment, TASK_FOLDER_VARIABLE "=%s", folder);
        return environment;
}

/* *ret_socket: our end of its fd 3. */
static int spawn(const struct task_child_options *o, const char *log, int *ret_socket, pid_t *ret_pid, struct error *err)
{
        autofree char *program = paths_program(o->program, err);
        autostrv char **environment = child_environment(o->folder);
        autoclose int log_fd = -1;
        int pair[2], r;

        if (!program)
                return -1;
        log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "cannot prepare '%s'", o->folder);
        char *argv[] = {program, NULL};
        const struct process_fd fds[] = {{log_fd, 1}, {log_fd, 2}, {pair[1], 3}, {o->held_fd, TASK_HELD_FD}};
        const struct process_options options = {.fds = fds,
                                                .n_fds = ARRAY_SIZE(fds) - (o->held_fd < 0),
                                                .environment = environment,
                                                .cwd = "/",
                                                .new_group = true,
                                                .death_signal = SIGTERM};
        r = process_spawn(argv, &options, ret_pid, err);
        close(pair[1]);
        if (r < 0) {
                close(pair[0]);
                return -1;
        }
        *ret_socket = pair[0];
        return 0;
}

struct task_child *task_child_start(struct loop *loop, const struct task_child_options *o, struct json_object *owned_parameters,
                                    task_child_progress_fn progress, task_child_done_fn done, void *userdata, struct error *err)
{
        autofree char *log = xasprintf("%s/%s", o->folder, o->log);
        struct task_child *c;
        int socket;
        pid_t pid;

        if (spawn(o, log, &socket, &pid, err) < 0) {
                json_object_put(owned_parameters);
                return NULL;
        }
        c = xcalloc(1, sizeof(*c));
        c->loop = loop;
        c->pid = pid;
        c->program = o->program;
        c->log = take_ptr(log);
        c->progress = progress;
        c->done = done;
        c->userdata = userdata;
        c->conn = conn_new(loop, socket, &conn_events, c);
        c->exit = loop_add_child(loop, pid, on_child_exit, c);
        varlink_write_call(conn_output(c->conn), o->method, owned_parameters, VARLINK_MORE);
        conn_flush(c->conn);
        return c;
}

void task_child_cancel(struct task_child *c)
{
        conn_end_output(c->conn);
}

void task_child_free(struct task_child *c)
{
        if (!c)
                return;
        if (c->pid > 0) {
                loop_source_free(take_ptr(c->exit));
                /* The end of its fd 3 tells it to clean up and go. */
                reaper_take(c->loop, c->pid);
        }
        loop_source_free(c->exit);
        conn_free(c->conn);
        json_object_put(c->result);
        free(c->log);
        free(c);
}
