/* SPDX-License-Identifier: MIT */
#include "agent/shutdown.h"

#include "base/process.h"
#include "base/util.h"
#include "wire/varlink.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct shutdown {
        struct agent *agent;
        struct stream *stream; /* NULL when the host does not wait for the answer any more */
        const char *mode;
        struct loop_source *child;
};

static void on_systemctl(void *userdata, int wait_status)
{
        struct shutdown *s = userdata;
        struct agent *agent = s->agent;
        struct error err = ERROR_INIT;

        loop_source_free(s->child);
        if (s->stream && wait_status != 0) {
                error_set(&err, ERR_FAILED, "'systemctl %s' in the VM: %s; its journal says more", s->mode,
                          process_status_text(wait_status));
                stream_fail(s->stream, &err);
        } else if (s->stream) {
                stream_reply(s->stream, varlink_reply_new(NULL, false));
                stream_close(s->stream);
        }
        free(s);
        agent_command_gone(agent);
}

static void on_closed(void *userdata)
{
        struct shutdown *s = userdata;

        s->stream = NULL;
}

void shutdown_start(struct agent *agent, struct stream *stream, const char *mode)
{
        static const struct stream_ops ops = {.closed = on_closed};
        static const struct process_fd journal = {.from = STDERR_FILENO, .to = STDERR_FILENO};
        const struct process_options options = {.fds = &journal, .n_fds = 1, .new_session = true};
        char *const argv[] = {(char *)"systemctl", (char *)"--no-block", (char *)mode, NULL};
        struct error err = ERROR_INIT;
        struct shutdown *s;
        pid_t pid;

        if (process_spawn(argv, &options, &pid, &err) < 0) {
                error_prefix(&err, "in the VM");
                stream_fail(stream, &err);
                return;
        }
        s = xcalloc(1, sizeof(*s));
        s->agent = agent;
        s->stream = stream;
        s->mode = mode;
        s->child = loop_add_child(agent->loop, pid, on_systemctl, s);
        agent->n_running++;
        stream_take(stream, &ops, s);
}
