/* SPDX-License-Identifier: MIT */
#include "daemon/task_child.h"

#include "base/file.h"
#include "base/paths.h"
#include "daemon/child.h"
#include "io/run.h"
#include "wire/varlink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_TAIL 1500 /* bytes of the log that are quoted when the child died without a word */

struct task_child {
        struct child *child; /* the call and its answers go through fd 3 */
        const char *program;
        char *log;
        task_child_progress_fn progress;
        task_child_done_fn done;
        void *userdata;
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
                int r = varlink_take(conn_input(child_conn(c->child)), &message, &err);

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

static void explain_exit(struct task_child *c, int wait_status)
{
        struct error err = ERROR_INIT;
        autofree char *text = file_read(c->log, 16u << 20, NULL, NULL);
        size_t n = text ? strlen(text) : 0;

        error_set(&err, ERR_FAILED, "%s ended without a result (%s)%s%s", c->program, process_status_text(wait_status),
                  n ? "; its log ends with:\n" : "", n ? text + (n > LOG_TAIL ? n - LOG_TAIL : 0) : "");
        keep_answer(c, NULL, &err);
}

static void on_ended(void *userdata, int wait_status)
{
        struct task_child *c = userdata;

        if (!c->answered)
                explain_exit(c, wait_status);
        autojson struct json_object *result = take_ptr(c->result);
        struct error err = c->err;
        c->done(c->userdata, result, result ? NULL : &err); /* frees us */
}

/* Our environment with the mark by which recovery finds what belongs to this folder. */
static char **child_environment(const char *folder)
{
        char **environment = NULL;

        for (char **e = environ; *e; e++)
                if (!str_has_prefix(*e, RUN_FOLDER_VARIABLE "="))
                        strv_add(&environment, *e);
        strv_addf(&environment, RUN_FOLDER_VARIABLE "=%s", folder);
        return environment;
}

static struct child *start(const struct task_child_options *o, struct task_child *c, struct loop *loop, struct error *err)
{
        static const struct child_events child_events = {.input = on_input, .ended = on_ended};
        autofree char *program = paths_program(o->program, err);
        autostrv char **environment = child_environment(o->folder);
        autoclose int log_fd = program ? open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
        char *argv[] = {program, NULL};
        const struct process_fd fds[] = {{log_fd, 1}, {log_fd, 2}, {CHILD_CONNECTION, 3}, {o->held_fd, TASK_HELD_FD}};
        const struct child_options options = {
                .argv = argv, .environment = environment, .fds = fds, .n_fds = ARRAY_SIZE(fds) - (o->held_fd < 0)};

        if (!program)
                return NULL;
        if (log_fd < 0) {
                error_errno(err, errno, "cannot write '%s'", c->log);
                return NULL;
        }
        return child_start(loop, &options, &child_events, c, err);
}

struct task_child *task_child_start(struct loop *loop, const struct task_child_options *o, struct json_object *owned_parameters,
                                    task_child_progress_fn progress, task_child_done_fn done, void *userdata, struct error *err)
{
        struct task_child *c = xcalloc(1, sizeof(*c));

        c->program = o->program;
        c->log = xasprintf("%s/%s", o->folder, o->log);
        c->progress = progress;
        c->done = done;
        c->userdata = userdata;
        c->child = start(o, c, loop, err);
        if (!c->child) {
                json_object_put(owned_parameters);
                task_child_free(c);
                return NULL;
        }
        varlink_write_call(conn_output(child_conn(c->child)), o->method, owned_parameters, VARLINK_MORE);
        conn_flush(child_conn(c->child));
        return c;
}

void task_child_cancel(struct task_child *c)
{
        conn_end_output(child_conn(c->child));
}

void task_child_free(struct task_child *c)
{
        if (!c)
                return;
        child_free(c->child); /* the end of its fd 3 tells it to clean up and go */
        json_object_put(c->result);
        free(c->log);
        free(c);
}
