/* SPDX-License-Identifier: MIT */
#include "daemon/guest_exec.h"

#include "base/file.h"
#include "wire/varlink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TAIL_SIZE  1024u /* kept of the output, for the message when it fails */
#define TAIL_LINES 6u

struct guest_exec {
        struct channel_stream *stream;
        struct loop_source *deadline;
        uint64_t timeout_ms;
        int log_fd;
        struct buf tail;
        guest_exec_fn done;
        void *userdata;
};

void guest_exec_cancel(struct guest_exec *g)
{
        if (!g)
                return;
        channel_close(g->stream);
        loop_source_free(g->deadline);
        buf_done(&g->tail);
        free(g);
}

static void finish(struct guest_exec *g, const struct error *err)
{
        guest_exec_fn done = g->done;
        void *userdata = g->userdata;

        guest_exec_cancel(g);
        done(userdata, err);
}

/* The last lines of what it wrote, owned. */
static char *last_lines(struct guest_exec *g)
{
        char *text = buf_take_string(&g->tail);
        size_t start = strlen(text), lines = 0;

        while (start > 0 && (text[start - 1] == '\n' || text[start - 1] == '\r'))
                text[--start] = '\0';
        for (; start > 0; start--)
                if (text[start - 1] == '\n' && ++lines == TAIL_LINES)
                        break;
        memmove(text, text + start, strlen(text + start) + 1);
        return text;
}

/* A reply: the first one (with the pid) only says that it runs. */
static void on_message(struct guest_exec *g, const struct frame *f)
{
        struct error err = ERROR_INIT;
        struct json_object *parameters = NULL;
        bool continues = false;
        uint64_t status;
        autojson struct json_object *message = json_parse((const char *)f->payload, f->size, &err);

        if (!message || varlink_read_reply(message, &parameters, &continues, &err) < 0) {
                finish(g, &err);
                return;
        }
        if (continues)
                return;
        autofree char *tail = last_lines(g);
        status = json_get_u64(parameters, "exited", UINT64_MAX);
        if (status == 0) {
                finish(g, NULL);
                return;
        }
        if (status != UINT64_MAX)
                error_set(&err, ERR_FAILED, "it ended with exit status %llu", (unsigned long long)status);
        else
                error_set(&err, ERR_FAILED, "it was killed by signal %llu",
                          (unsigned long long)json_get_u64(parameters, "signaled", 0));
        if (*tail) {
                autofree char *how = xstrdup(err.message);
                error_set(&err, ERR_FAILED, "%s; its last output:\n%s", how, tail);
        }
        finish(g, &err);
}

static void on_frame(void *userdata, const struct frame *f)
{
        struct guest_exec *g = userdata;
        struct error err = ERROR_INIT;

        switch (f->type) {
        case FRAME_DATA:
                if (g->log_fd >= 0)
                        (void)!fd_write_all(g->log_fd, f->payload, f->size); /* a full disk must not end the command */
                buf_append(&g->tail, f->payload, f->size);
                if (buf_size(&g->tail) > TAIL_SIZE)
                        buf_consume(&g->tail, buf_size(&g->tail) - TAIL_SIZE);
                channel_grant(g->stream, (uint32_t)f->size);
                break;
        case FRAME_MESSAGE:
                on_message(g, f);
                break;
        case FRAME_CLOSE:
                error_set(&err, ERR_PROTOCOL, "the agent ended it without a result");
                finish(g, &err);
                break;
        default:
                break;
        }
}

static void on_lost(void *userdata, const char *why)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_DISCONNECTED, "%s", why);
        finish(userdata, &err);
}

static void on_deadline(void *userdata)
{
        struct guest_exec *g = userdata;
        struct error err = ERROR_INIT;

        error_set(&err, ERR_TIMEOUT, "it did not end within %llu s", (unsigned long long)g->timeout_ms / 1000);
        finish(g, &err);
}

static const struct channel_stream_events stream_events = {.frame = on_frame, .lost = on_lost};

struct guest_exec *guest_exec_start(struct loop *loop, struct channel *channel, char *const *argv, int log_fd,
                                    uint64_t timeout_ms, guest_exec_fn done, void *userdata, struct error *err)
{
        struct guest_exec *g = xcalloc(1, sizeof(*g));
        struct json_object *parameters = json_new();

        json_add(parameters, "argv", json_from_strv(argv));
        g->log_fd = log_fd;
        g->timeout_ms = timeout_ms;
        g->done = done;
        g->userdata = userdata;
        g->stream = channel_open(channel, varlink_call_new("org.initvm.agent.Exec", parameters, VARLINK_UPGRADE), &stream_events,
                                 g, err);
        if (!g->stream) {
                guest_exec_cancel(g);
                return NULL;
        }
        channel_send(g->stream, FRAME_EOF, CHANNEL_STDIN, NULL, 0);
        g->deadline = loop_add_timer(loop, on_deadline, g);
        loop_timer_arm(g->deadline, timeout_ms);
        return g;
}

int guest_exec_memory(struct error *err)
{
        autoclose int fd = memfd_create("guest-output", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || ftruncate(fd, GUEST_OUTPUT_MAX) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)
                return error_errno(err, errno, "cannot make a file in memory");
        return take_fd(&fd);
}
