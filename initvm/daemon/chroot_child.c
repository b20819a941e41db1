/* SPDX-License-Identifier: MIT */
#include "daemon/chroot_child.h"

#include "base/paths.h"
#include "daemon/child.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is kept of its words, and the longest line that is looked at: one event. */
#define WORDS_MAX 1500
#define EVENT_MAX (64u * 1024)

struct chroot_child {
        struct child *child; /* its standard output and error: events are lines of JSON, anything else its words */
        const struct chroot_child_events *events;
        void *userdata;
        char words[WORDS_MAX];
};

/* Its last words are its error. */
static void take_line(struct chroot_child *c, const char *line, size_t n)
{
        autojson struct json_object *event = n && *line == '{' ? json_parse(line, n, NULL) : NULL;

        if (event)
                c->events->progress(c->userdata, event);
        else if (n)
                snprintf(c->words, sizeof(c->words), "%.*s", (int)MIN(n, sizeof(c->words) - 1), line);
}

static void on_input(void *userdata)
{
        struct chroot_child *c = userdata;
        struct buf *in = conn_input(child_conn(c->child));
        const char *end;

        while ((end = memchr(buf_head(in), '\n', buf_size(in)))) {
                const char *line = (const char *)buf_head(in);
                take_line(c, line, (size_t)(end - line));
                buf_consume(in, (size_t)(end - line) + 1);
        }
        if (buf_size(in) > EVENT_MAX)
                buf_consume(in, buf_size(in));
}

static void on_ended(void *userdata, int wait_status)
{
        struct chroot_child *c = userdata;
        const struct chroot_child_events *events = c->events;
        const char *words = str_has_prefix(c->words, "initvm: ") ? c->words + strlen("initvm: ") : c->words;
        bool lost = process_exit_status(wait_status) == error_exit_status(ERR_DISCONNECTED);
        void *to = c->userdata;
        struct error err = ERROR_INIT;

        if (wait_status != 0)
                error_set(&err, lost ? ERR_DISCONNECTED : ERR_FAILED, "%s", *words ? words : process_status_text(wait_status));
        child_free(c->child);
        free(c);
        events->done(to, err.code ? &err : NULL);
}

struct chroot_child *chroot_child_start(struct loop *loop, const struct chroot_child_options *o,
                                        const struct chroot_child_events *events, void *userdata, struct error *err)
{
        static const struct child_events child_events = {.input = on_input, .ended = on_ended};
        static const struct process_fd fds[] = {{CHILD_CONNECTION, STDOUT_FILENO}, {CHILD_CONNECTION, STDERR_FILENO}};
        autofree char *program = o->program ? xstrdup(o->program) : paths_program("initvm", err);
        autofree char *vm = xasprintf("--name=%s", o->vm), *architecture = xasprintf("--arch=%s", o->architecture);
        autofree char *suite = xasprintf("--suite=%s", o->suite);
        char *argv[] = {program,
                        (char *)"chroot",
                        (char *)"create",
                        (char *)"--json",
                        vm,
                        architecture,
                        suite,
                        (char *)"--",
                        (char *)o->name,
                        NULL};
        const struct child_options options = {.argv = argv, .fds = fds, .n_fds = ARRAY_SIZE(fds)};
        struct chroot_child *c;

        if (!program)
                return NULL;
        c = xcalloc(1, sizeof(*c));
        c->events = events;
        c->userdata = userdata;
        c->child = child_start(loop, &options, &child_events, c, err);
        if (!c->child) {
                free(c);
                return NULL;
        }
        return c;
}

void chroot_child_cancel(struct chroot_child *c)
{
        if (!c)
                return;
        child_signal(c->child, SIGTERM);
        child_free(c->child);
        free(c);
}
