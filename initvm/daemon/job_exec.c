/* SPDX-License-Identifier: MIT */
#include "daemon/job_exec.h"

#include "archive/report.h"
#include "base/file.h"
#include "wire/varlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What Exec takes for the agent's own program (wire/org.initvm.agent.varlink). */
#define AGENT_PROGRAM "/proc/self/exe"

/* The port's queue above which no more of a file is read until it is empty again: other streams share it. */
#define PORT_QUEUE_HIGH (256u * 1024)

struct job_exec {
        struct channel_stream *stream;
        struct loop_source *deadline, *begin;
        uint64_t idle_ms;
        const struct job_exec_events *events;
        void *userdata;

        struct buf prefix;
        int input_fd;
        bool input_ended; /* the guest was told */
        uint32_t send_credit;

        int output_fd;
        uint32_t owed; /* passed on, and not given back as credit yet */
        struct report_reader reports;
};

void job_exec_cancel(struct job_exec *e)
{
        if (!e)
                return;
        channel_close(e->stream);
        loop_source_free(e->deadline);
        loop_source_free(e->begin);
        cleanup_close(&e->input_fd);
        cleanup_close(&e->output_fd);
        buf_done(&e->prefix);
        report_reader_done(&e->reports);
        free(e);
}

static void finish(struct job_exec *e, const struct error *err)
{
        void (*done)(void *, const struct error *) = e->events->done;
        void *userdata = e->userdata;
        struct error copy = err ? *err : (struct error)ERROR_INIT;

        job_exec_cancel(e);
        done(userdata, err ? &copy : NULL);
}

/* ---- its input */

/* The next piece of what is to be sent: its size, 0 at the end, -1 when the file cannot be read. */
static ssize_t next_piece(struct job_exec *e, void *piece, size_t max)
{
        ssize_t n;

        if (buf_size(&e->prefix) > 0) {
                n = (ssize_t)MIN(buf_size(&e->prefix), max);
                memcpy(piece, buf_head(&e->prefix), (size_t)n);
                buf_consume(&e->prefix, (size_t)n);
                return n;
        }
        if (e->input_fd < 0)
                return 0;
        do
                n = read(e->input_fd, piece, max);
        while (n < 0 && errno == EINTR);
        return n;
}

/* False when the command is over. */
static bool send_input(struct job_exec *e)
{
        uint8_t piece[FRAME_PAYLOAD_MAX];

        while (!e->input_ended && e->send_credit > 0 && channel_queued(e->stream) < PORT_QUEUE_HIGH) {
                ssize_t n = next_piece(e, piece, MIN((size_t)e->send_credit, sizeof(piece)));

                if (n < 0) {
                        struct error err = ERROR_INIT;
                        error_errno(&err, errno, "cannot read what is to be sent to the VM");
                        finish(e, &err);
                        return false;
                }
                if (n == 0) {
                        e->input_ended = true;
                        channel_send(e->stream, FRAME_EOF, CHANNEL_STDIN, NULL, 0);
                        return true;
                }
                e->send_credit -= (uint32_t)n;
                channel_send(e->stream, FRAME_DATA, CHANNEL_STDIN, piece, (size_t)n);
        }
        return true;
}

static void on_drained(void *userdata)
{
        send_input(userdata);
}

/* ---- what it says */

static void give_credit(struct job_exec *e, size_t n)
{
        e->owed += (uint32_t)n;
        if (e->owed < FRAME_GRANT_MIN)
                return;
        channel_grant(e->stream, e->owed);
        e->owed = 0;
}

/* False when the command is over. */
static bool take_output(struct job_exec *e, const struct frame *f)
{
        struct error err = ERROR_INIT;

        if (e->output_fd >= 0 && fd_write_all(e->output_fd, f->payload, f->size) < 0) {
                error_errno(&err, errno, "cannot write on the host what comes from the VM");
                finish(e, &err);
                return false;
        }
        if (e->events->output)
                e->events->output(e->userdata, f->payload, f->size);
        return true;
}

static void on_report(void *userdata, struct json_object *o)
{
        struct job_exec *e = userdata;

        if (e->events->report)
                e->events->report(e->userdata, o);
}

static void on_progress(void *userdata, struct json_object *event)
{
        struct job_exec *e = userdata;

        if (e->events->progress)
                e->events->progress(e->userdata, event);
}

static void on_warning(void *userdata, const char *text)
{
        (void)userdata; /* the guest's commands say what matters in their result */
        (void)text;
}

/* ---- its end */

static void on_message(struct job_exec *e, const struct frame *f)
{
        struct error err = ERROR_INIT;
        struct json_object *parameters = NULL;
        bool continues = false;
        uint64_t status;
        autojson struct json_object *message = json_parse((const char *)f->payload, f->size, &err);

        if (!message || varlink_read_reply(message, &parameters, &continues, &err) < 0) {
                finish(e, &err);
                return;
        }
        if (continues)
                return;
        status = json_get_u64(parameters, "exited", UINT64_MAX);
        if (status == 0) {
                finish(e, NULL);
                return;
        }
        if (e->reports.error.code != ERR_NONE)
                err = e->reports.error;
        else if (status == UINT64_MAX)
                error_set(&err, ERR_FAILED, "the agent's helper in the VM was killed by signal %llu",
                          (unsigned long long)json_get_u64(parameters, "signaled", 0));
        else
                error_set(&err, ERR_FAILED, "the agent's helper in the VM failed with status %llu%s%s",
                          (unsigned long long)status, e->reports.other ? ": " : "", e->reports.other ? e->reports.other : "");
        if (err.code == ERR_DISCONNECTED) /* that word is kept for our own connection to the guest */
                err.code = ERR_FAILED;
        finish(e, &err);
}

static void on_frame(void *userdata, const struct frame *f)
{
        struct job_exec *e = userdata;
        struct error err = ERROR_INIT;

        loop_timer_arm(e->deadline, e->idle_ms);
        switch (f->type) {
        case FRAME_DATA:
                if (f->channel != CHANNEL_STDOUT)
                        report_read(&e->reports, f->payload, f->size);
                else if (!take_output(e, f))
                        break;
                give_credit(e, f->size);
                break;
        case FRAME_CREDIT:
                e->send_credit += frame_credit(f);
                send_input(e);
                break;
        case FRAME_MESSAGE:
                on_message(e, f);
                break;
        case FRAME_CLOSE:
                error_set(&err, ERR_PROTOCOL, "the agent in the VM ended its helper without a result");
                finish(e, &err);
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
        struct job_exec *e = userdata;
        struct error err = ERROR_INIT;

        error_set(&err, ERR_TIMEOUT, "the agent's helper in the VM said nothing for %llu s",
                  (unsigned long long)e->idle_ms / 1000);
        finish(e, &err);
}

static const struct channel_stream_events stream_events = {.frame = on_frame, .lost = on_lost, .drained = on_drained};

static struct json_object *call_new(char *const *words)
{
        struct json_object *parameters = json_new();
        autostrv char **argv = NULL;

        strv_add(&argv, AGENT_PROGRAM);
        for (; *words; words++)
                strv_add(&argv, *words);
        json_add(parameters, "argv", json_from_strv(argv));
        return varlink_call_new("org.initvm.agent.Exec", parameters, VARLINK_UPGRADE);
}

struct job_exec *job_exec_start(struct loop *loop, struct channel *channel, const struct job_exec_options *options,
                                const struct job_exec_events *events, void *userdata, struct error *err)
{
        struct job_exec *e = xcalloc(1, sizeof(*e));

        e->events = events;
        e->userdata = userdata;
        e->input_fd = options->input_fd;
        e->output_fd = options->output_fd;
        e->idle_ms = options->idle_ms;
        e->send_credit = FRAME_WINDOW;
        e->reports = (struct report_reader){.warning = on_warning, .progress = on_progress, .object = on_report, .userdata = e};
        if (options->prefix)
                buf_append(&e->prefix, options->prefix, strlen(options->prefix));
        if (channel_ready(channel))
                e->stream = channel_open(channel, call_new(options->argv), &stream_events, e, err);
        else
                error_set(err, ERR_DISCONNECTED, "the agent in the VM does not answer");
        if (!e->stream) {
                job_exec_cancel(e);
                return NULL;
        }
        e->deadline = loop_add_timer(loop, on_deadline, e);
        e->begin = loop_add_timer(loop, on_drained, e); /* what cannot be read is told from the loop, as all ends are */
        loop_timer_arm(e->deadline, e->idle_ms);
        if (!options->prefix && options->input_fd < 0) {
                e->input_ended = true;
                channel_send(e->stream, FRAME_EOF, CHANNEL_STDIN, NULL, 0);
                return e;
        }
        loop_timer_arm(e->begin, 0);
        return e;
}
