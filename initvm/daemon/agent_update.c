/* SPDX-License-Identifier: MIT */
#include "daemon/agent_update.h"

#include "base/file.h"
#include "base/paths.h"
#include "wire/varlink.h"

#include <stdlib.h>

/* A static program; more is not one of ours. */
#define AGENT_SIZE_MAX ((size_t)64 << 20)

struct agent_update {
        struct channel_stream *stream;
        struct loop_source *deadline;
        char *program;
        size_t size, sent;
        uint32_t credit;
        agent_update_fn done;
        void *userdata;
};

void agent_update_cancel(struct agent_update *u)
{
        if (!u)
                return;
        channel_close(u->stream);
        loop_source_free(u->deadline);
        free(u->program);
        free(u);
}

static void finish(struct agent_update *u, const struct error *err)
{
        agent_update_fn done = u->done;
        void *userdata = u->userdata;

        agent_update_cancel(u);
        done(userdata, err);
}

static void send_more(struct agent_update *u)
{
        while (u->credit > 0 && u->sent < u->size) {
                size_t n = MIN(MIN(u->size - u->sent, (size_t)u->credit), (size_t)FRAME_PAYLOAD_MAX);

                channel_send(u->stream, FRAME_DATA, CHANNEL_STDIN, u->program + u->sent, n);
                u->sent += n;
                u->credit -= (uint32_t)n;
        }
}

static void on_frame(void *userdata, const struct frame *f)
{
        struct agent_update *u = userdata;
        struct error err = ERROR_INIT;
        autojson struct json_object *message = NULL;

        switch (f->type) {
        case FRAME_CREDIT:
                u->credit += MIN(frame_credit(f), FRAME_WINDOW - u->credit);
                send_more(u);
                return;
        case FRAME_MESSAGE:
                message = json_parse((const char *)f->payload, f->size, &err);
                finish(u, message && varlink_read_reply(message, NULL, NULL, &err) == 0 ? NULL : &err);
                return;
        case FRAME_CLOSE:
                error_set(&err, ERR_PROTOCOL, "the agent ended the update without an answer");
                finish(u, &err);
                return;
        default:
                return;
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
        struct error err = ERROR_INIT;

        error_set(&err, ERR_TIMEOUT, "the agent did not take its new program within %d s", AGENT_UPDATE_TIMEOUT_MS / 1000);
        finish(userdata, &err);
}

struct agent_update *agent_update_start(struct loop *loop, struct channel *channel, agent_update_fn done, void *userdata,
                                        struct error *err)
{
        static const struct channel_stream_events events = {.frame = on_frame, .lost = on_lost};
        struct agent_update *u = xcalloc(1, sizeof(*u));
        autofree char *path = paths_program("initvm-agent", err);

        u->done = done;
        u->userdata = userdata;
        u->credit = FRAME_WINDOW;
        u->program = path ? file_read(path, AGENT_SIZE_MAX, &u->size, err) : NULL;
        if (u->program) {
                struct json_object *parameters = json_new();

                json_add_u64(parameters, "size", u->size);
                u->stream = channel_open(channel, varlink_call_new("org.initvm.agent.Update", parameters, 0), &events, u, err);
        }
        if (!u->stream) {
                agent_update_cancel(u);
                return NULL;
        }
        u->deadline = loop_add_timer(loop, on_deadline, u);
        loop_timer_arm(u->deadline, AGENT_UPDATE_TIMEOUT_MS);
        send_more(u);
        return u;
}
