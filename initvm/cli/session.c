/* SPDX-License-Identifier: MIT */
#include "cli/session.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* The one stream of an upgraded connection. */
#define STREAM 1

/* Bytes that wait for the socket: more input is not read. Two frames keep it busy. */
#define QUEUE_MAX (128u * 1024)

/* Credit is given back in pieces of this size: few frames, and never a starving sender. */
#define CREDIT_STEP (FRAME_WINDOW / 8)

static void pump_input(struct session *s);

/* The first end counts. */
void session_quit(struct session *s, int status)
{
        if (s->over)
                return;
        s->over = true;
        loop_quit(s->loop, status);
}

void session_fail(struct session *s, enum error_code code, const char *fmt, ...)
{
        autofree char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        if (!s->over)
                error_set(s->err, code, "%s", text);
        session_quit(s, -1);
}

static size_t pending_output(const struct session *s)
{
        return buf_size(&s->outputs[0].pending) + buf_size(&s->outputs[1].pending);
}

static void quit_when_written(struct session *s)
{
        if (s->ending && pending_output(s) == 0)
                session_quit(s, s->status);
}

void session_end_input(struct session *s)
{
        if (s->input_fd < 0)
                return;
        loop_source_free(take_ptr(s->input_source));
        s->input_fd = -1;
        frame_write(conn_output(s->conn), FRAME_EOF, STREAM, CHANNEL_STDIN, NULL, 0);
        conn_flush(s->conn);
}

void session_end(struct session *s, int status)
{
        s->ending = true;
        s->status = status;
        loop_source_free(take_ptr(s->input_source));
        s->input_fd = -1;
        quit_when_written(s);
}

static void on_written(void *userdata, size_t n)
{
        struct session *s = userdata;

        if (pending_output(s) < FRAME_WINDOW)
                conn_pause_input(s->conn, false);
        s->owed += (uint32_t)n;
        s->written += n;
        if (s->owed >= CREDIT_STEP) {
                frame_write_credit(conn_output(s->conn), STREAM, s->owed);
                conn_flush(s->conn);
                s->owed = 0;
        }
        quit_when_written(s);
}

static void on_write_failed(void *userdata, int errnum)
{
        struct session *s = userdata;

        if (errnum == EPIPE) {
                session_quit(s, STATUS_SIGPIPE);
                return;
        }
        session_fail(s, ERR_FAILED, "cannot write the output: %s", strerror(errnum));
}

static void handle_data(struct session *s, const struct frame *f)
{
        if (f->channel != CHANNEL_STDOUT && f->channel != CHANNEL_STDERR)
                return;
        if (f->channel == CHANNEL_STDERR ? s->events->error_output != NULL : s->events->output != NULL) {
                (f->channel == CHANNEL_STDERR ? s->events->error_output : s->events->output)(s->userdata, f->payload, f->size);
                on_written(s, f->size);
                return;
        }
        output_write(&s->outputs[f->channel == CHANNEL_STDERR], f->payload, f->size);
        if (pending_output(s) >= FRAME_WINDOW)
                conn_pause_input(s->conn, true);
}

static void handle_frame(struct session *s, const struct frame *f)
{
        autojson struct json_object *message = NULL;
        struct error err = ERROR_INIT;

        if (f->stream != STREAM)
                return;
        switch (f->type) {
        case FRAME_DATA:
                handle_data(s, f);
                return;
        case FRAME_CREDIT:
                if (__builtin_add_overflow(s->send_credit, frame_credit(f), &s->send_credit))
                        s->send_credit = UINT32_MAX;
                pump_input(s);
                return;
        case FRAME_MESSAGE:
                message = json_parse((const char *)f->payload, f->size, &err);
                if (message)
                        s->events->message(s->userdata, message);
                else
                        session_fail(s, ERR_PROTOCOL, "the daemon sent a broken message: %s", err.message);
                return;
        case FRAME_EOF:
                if (s->events->output_ended)
                        s->events->output_ended(s->userdata, f->channel);
                return;
        case FRAME_CLOSE:
                if (!s->ending)
                        s->events->closed(s->userdata);
                return;
        default:
                return;
        }
}

static void on_conn_input(void *userdata)
{
        struct session *s = userdata;
        struct buf *in = conn_input(s->conn);

        while (buf_size(in) > 0) {
                size_t n = MIN(buf_size(in), (size_t)CONN_READ_SIZE);
                struct frame f;
                int r;

                frame_decoder_push(&s->decoder, buf_head(in), n);
                buf_consume(in, n);
                while ((r = frame_decoder_next(&s->decoder, &f)) > 0)
                        handle_frame(s, &f);
                if (r < 0) {
                        session_fail(s, ERR_PROTOCOL, "the daemon sent something that is no frame; 'initvm daemon stop' ends it");
                        return;
                }
        }
}

static void on_conn_ended(void *userdata)
{
        struct session *s = userdata;

        on_conn_input(s); /* the last words may have come together with the reply, before the loop ran */
        if (!s->ending)
                s->events->closed(s->userdata);
}

static void on_conn_drained(void *userdata)
{
        pump_input(userdata);
}

static const struct conn_events conn_events = {.input = on_conn_input, .ended = on_conn_ended, .drained = on_conn_drained};

static bool wants_input(const struct session *s)
{
        return s->input_fd >= 0 && s->send_credit > 0 && conn_queued(s->conn) < QUEUE_MAX;
}

/* Reads standard input once and sends it. False when there was nothing to be had. */
static bool read_input(struct session *s)
{
        uint8_t data[FRAME_PAYLOAD_MAX];
        ssize_t n = read(s->input_fd, data, MIN(sizeof(data), (size_t)s->send_credit));
        size_t send;

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return false;
        if (n <= 0) { /* an input that cannot be read (EIO of a terminal that is gone) has ended as well */
                s->input_fd = -1;
                if (s->events->input_ended) {
                        s->events->input_ended(s->userdata);
                } else {
                        frame_write(conn_output(s->conn), FRAME_EOF, STREAM, CHANNEL_STDIN, NULL, 0);
                        conn_flush(s->conn);
                }
                return false;
        }
        send = s->events->input ? s->events->input(s->userdata, data, (size_t)n) : (size_t)n;
        if (send > 0) {
                frame_write(conn_output(s->conn), FRAME_DATA, STREAM, CHANNEL_STDIN, data, send);
                conn_flush(s->conn);
                s->send_credit -= (uint32_t)send;
                s->sent += send;
        }
        return true;
}

static void on_input(void *userdata, uint32_t events)
{
        struct session *s = userdata;

        (void)events;
        if (wants_input(s))
                read_input(s);
        pump_input(s);
}

/* Watches standard input while it may be read; a regular file, which cannot be watched, is read right here. */
static void pump_input(struct session *s)
{
        if (!s->input_pollable) {
                while (wants_input(s) && read_input(s))
                        ;
                return;
        }
        if (!wants_input(s))
                loop_source_free(take_ptr(s->input_source)); /* a watch on nothing would still report hangups, again and again */
        else if (!s->input_source)
                s->input_source = loop_add_fd(s->loop, s->input_fd, EPOLLIN, on_input, s);
}

void session_init(struct session *s, struct client *owned, const struct session_events *events, void *userdata)
{
        struct buf unread;
        int fd = client_release(owned, &unread);

        *s = (struct session){.events = events, .userdata = userdata, .input_fd = -1, .send_credit = FRAME_WINDOW};
        s->loop = loop_new();
        s->conn = conn_new(s->loop, fd, &conn_events, s);
        buf_append(conn_input(s->conn), buf_head(&unread), buf_size(&unread));
        buf_done(&unread);
        frame_decoder_init(&s->decoder, false);
        for (size_t i = 0; i < ARRAY_SIZE(s->outputs); i++) {
                s->outputs[i] = (struct output){.written = on_written, .failed = on_write_failed, .userdata = s};
                output_init(&s->outputs[i], s->loop, i == 0 ? STDOUT_FILENO : STDERR_FILENO);
        }
        signal(SIGPIPE, SIG_IGN); /* a reader that went away is told by EPIPE */
}

void session_set_output(struct session *s, int fd)
{
        output_done(&s->outputs[0]);
        output_init(&s->outputs[0], s->loop, fd);
}

void session_done(struct session *s)
{
        loop_source_free(s->input_source);
        for (size_t i = 0; i < ARRAY_SIZE(s->outputs); i++)
                output_done(&s->outputs[i]);
        for (size_t i = 0; i < s->n_signals; i++)
                loop_source_free(s->signals[i].source);
        conn_free(take_ptr(s->conn));
        frame_decoder_done(&s->decoder);
        loop_free(s->loop);
}

static void on_signal(void *userdata)
{
        struct session_signal *g = userdata;

        g->session->events->signal(g->session->userdata, g->signo);
}

void session_catch(struct session *s, const int *signals, size_t n)
{
        sigset_t set;

        sigemptyset(&set);
        for (size_t i = 0; i < n && s->n_signals < SESSION_SIGNALS_MAX; i++) {
                struct session_signal *g = &s->signals[s->n_signals++];

                sigaddset(&set, signals[i]);
                sigprocmask(SIG_BLOCK, &set, NULL);
                *g = (struct session_signal){.session = s, .signo = signals[i]};
                g->source = loop_add_signal(s->loop, signals[i], on_signal, g);
        }
}

/* In the loop: what happens here may end it. */
static void on_start(void *userdata)
{
        on_conn_input(userdata); /* what came together with the reply */
        pump_input(userdata);
}

int session_run(struct session *s, int input_fd, struct error *err)
{
        s->over = s->ending = false;
        s->err = err;
        s->input_fd = input_fd;
        s->input_pollable = input_fd >= 0 && fd_is_pollable(input_fd);
        loop_post(s->loop, on_start, s);
        return loop_run(s->loop);
}

void session_send(struct session *s, struct json_object *owned)
{
        const char *line = json_line(owned);

        frame_write(conn_output(s->conn), FRAME_MESSAGE, STREAM, 0, line, strlen(line));
        conn_flush(s->conn);
        json_object_put(owned);
}
