/* SPDX-License-Identifier: MIT */
#include "agent/methods.h"

#include "agent/connect.h"
#include "agent/exec.h"
#include "agent/info.h"
#include "agent/listen.h"
#include "agent/request.h"
#include "agent/shutdown.h"
#include "agent/update.h"
#include "base/log.h"
#include "base/util.h"
#include "wire/varlink.h"

/* Each takes the stream and may take out of the request what it keeps. */
static void get_info(struct agent *agent, struct stream *stream, struct request *request)
{
        (void)agent;
        (void)request;
        stream_reply(stream, varlink_reply_new(info_new(), false));
        stream_close(stream);
}

static void exec(struct agent *agent, struct stream *stream, struct request *request)
{
        struct error err = ERROR_INIT;

        /* Commands whose stream is gone and which are about to be killed count as well. */
        if (agent->n_running >= STREAMS_MAX) {
                error_set(&err, ERR_STATE, "%d commands are running in the VM already; wait until one has ended", STREAMS_MAX);
                stream_fail(stream, &err);
                return;
        }
        exec_start(agent, stream, request);
}

static void shut_down(struct agent *agent, struct stream *stream, struct request *request)
{
        log_info("the host asks for %s", request->shutdown.mode);
        shutdown_start(agent, stream, request->shutdown.mode);
}

static void accept_connection(struct agent *agent, struct stream *stream, struct request *request)
{
        listen_accept(agent, stream, request->connection);
}

static void connect_to(struct agent *agent, struct stream *stream, struct request *request)
{
        connect_start(agent, stream, &request->address);
}

static void listen_on(struct agent *agent, struct stream *stream, struct request *request)
{
        listen_start(agent, stream, &request->address);
}

static void update(struct agent *agent, struct stream *stream, struct request *request)
{
        update_start(agent, stream, request->update.size);
}

static void (*const methods[])(struct agent *agent, struct stream *stream, struct request *request) = {
        [REQUEST_ACCEPT] = accept_connection,
        [REQUEST_CONNECT] = connect_to,
        [REQUEST_EXEC] = exec,
        [REQUEST_GET_INFO] = get_info,
        [REQUEST_LISTEN] = listen_on,
        [REQUEST_SHUTDOWN] = shut_down,
        [REQUEST_UPDATE] = update,
};

void methods_open(void *userdata, struct stream *stream, const uint8_t *call, size_t n)
{
        struct error err = ERROR_INIT;
        struct request request;

        if (request_read(call, n, &request, &err) < 0) {
                stream_fail(stream, &err);
                return;
        }
        methods[request.kind](userdata, stream, &request);
        request_done(&request);
}

struct json_object *methods_hello(void *userdata)
{
        (void)userdata;
        return varlink_call_new("org.initvm.agent.Hello", info_new(), VARLINK_ONEWAY);
}
