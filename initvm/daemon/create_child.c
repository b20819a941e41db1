/* SPDX-License-Identifier: MIT */
#include "daemon/create_child.h"

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

struct create_child {
        struct loop *loop;
        pid_t pid;
        char *log;
        struct conn *conn;
        struct loop_source *exit;
        create_child_progress_fn progress;
        create_child_done_fn done;
        void *userdata;
        bool told; /* done was called */
};

static void tell(struct create_child *c, struct json_object *result, const struct error *err)
{
        if (c->told)
                return;
        c->told = true;
        c->done(c->userdata, result, err); /* frees us */
}

/* One message: false when that was the last one. */
static bool take_message(struct create_child *c, struct json_object *message)
{
        struct error err = ERROR_INIT;
        struct json_object *parameters = NULL, *progress;
        bool continues = false;

        if (varlink_read_reply(message, &parameters, &continues, &err) < 0) {
                tell(c, NULL, &err);
                return false;
        }
        if (!continues) {
                tell(c, parameters, NULL);
                return false;
        }
        progress = json_get(parameters, "progress");
        if (progress)
                c->progress(c->userdata, json_object_get(progress));
        return true;
}

static void on_input(void *userdata)
{
        struct create_child *c = userdata;

        for (;;) {
                struct error err = ERROR_INIT;
                autojson struct json_object *message = NULL;
                int r = varlink_take(conn_input(c->conn), &message, &err);

                if (r == 0)
                        return;
                if (r < 0) {
                        error_prefix(&err, "initvm-provision");
                        tell(c, NULL, &err);
                        return;
                }
                if (!take_message(c, message))
                        return;
        }
}

static void on_ended(void *userdata)
{
        (void)userdata; /* its exit status follows */
}

static const struct conn_events conn_events = {.input = on_input, .ended = on_ended};

static void on_child_exit(void *userdata, int wait_status)
{
        struct create_child *c = userdata;
        struct error err = ERROR_INIT;
        autofree char *text = file_read(c->log, 16u << 20, NULL, NULL);
        size_t n = text ? strlen(text) : 0;

        c->pid = 0;
        error_set(&err, ERR_FAILED, "initvm-provision ended without a result (%s)%s%s", process_status_text(wait_status),
                  n ? "; its log ends with:\n" : "", n ? text + (n > LOG_TAIL ? n - LOG_TAIL : 0) : "");
        tell(c, NULL, &err);
}

static void send_call(struct create_child *c, const struct create_child_options *o, const char *agent)
{
        struct json_object *parameters = json_new();

        json_add_string(parameters, "folder", o->folder);
        json_add_string(parameters, "name", o->name);
        json_add_string(parameters, "image", o->image);
        json_add_string(parameters, "preseed", o->preseed);
        json_add_u64(parameters, "size", o->size);
        json_add_string(parameters, "mirror", o->mirror);
        json_add_string(parameters, "agent", agent);
        varlink_write_call(conn_output(c->conn), "org.initvm.provision.Bootstrap", parameters, VARLINK_MORE);
        conn_flush(c->conn);
}

/* Our environment with the mark by which recovery finds the create's processes. */
static char **child_environment(const char *folder)
{
        char **environment = NULL;

        for (char **e = environ; *e; e++)
                if (!str_has_prefix(*e, CREATE_FOLDER_VARIABLE "="))
                        strv_add(&environment, *e);
        strv_addf(&environment, CREATE_FOLDER_VARIABLE "=%s", folder);
        return environment;
}

struct create_child *create_child_start(struct loop *loop, const struct create_child_options *o,
                                        create_child_progress_fn progress, create_child_done_fn done, void *userdata,
                                        struct error *err)
{
        autofree char *program = paths_program("initvm-provision", err);
        autofree char *agent = program ? paths_program("initvm-agent", err) : NULL;
        autofree char *log = xasprintf("%s/provision.log", o->folder);
        autostrv char **environment = child_environment(o->folder);
        autoclose int log_fd = -1;
        struct create_child *c;
        int pair[2];
        pid_t pid;

        if (!agent)
                return NULL;
        log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (log_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
                error_errno(err, errno, "cannot prepare '%s'", o->folder);
                return NULL;
        }
        char *argv[] = {program, NULL};
        const struct process_fd fds[] = {{log_fd, 1}, {log_fd, 2}, {pair[1], 3}};
        const struct process_options options = {.fds = fds,
                                                .n_fds = ARRAY_SIZE(fds),
                                                .environment = environment,
                                                .cwd = "/",
                                                .new_group = true,
                                                .death_signal = SIGTERM};
        int r = process_spawn(argv, &options, &pid, err);
        close(pair[1]);
        if (r < 0) {
                close(pair[0]);
                return NULL;
        }
        c = xcalloc(1, sizeof(*c));
        c->loop = loop;
        c->pid = pid;
        c->log = take_ptr(log);
        c->progress = progress;
        c->done = done;
        c->userdata = userdata;
        c->conn = conn_new(loop, pair[0], &conn_events, c);
        c->exit = loop_add_child(loop, pid, on_child_exit, c);
        send_call(c, o, agent);
        return c;
}

void create_child_free(struct create_child *c)
{
        if (!c)
                return;
        if (c->pid > 0) {
                loop_source_free(take_ptr(c->exit));
                /* The end of its fd 3 tells it to clean up and go; what does not go is killed by create_remove_remains(). */
                reaper_take(c->loop, c->pid);
        }
        loop_source_free(c->exit);
        conn_free(c->conn);
        free(c->log);
        free(c);
}
