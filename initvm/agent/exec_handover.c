/* SPDX-License-Identifier: MIT */
#include "agent/exec_private.h"
#include "agent/handover.h"

#include <json-c/json.h>

static struct json_object *save(struct exec *e, struct buf *bytes)
{
        struct json_object *o = json_new(), *input = json_new();

        json_add_string(o, "name", e->argv[0]);
        json_add_u64(o, "pid", (uint64_t)e->pid);
        if (e->stream)
                json_add_u64(o, "stream", stream_id(e->stream));
        json_add_bool(o, "reaped", !e->child);
        json_add_u64(o, "waitStatus", (uint64_t)e->wait_status);
        json_add_bool(o, "killing", e->kill_timer != NULL);
        handover_add_fd(o, "stdout", e->outputs[0].fd);
        handover_add_fd(o, "stderr", e->outputs[1].fd);
        handover_add_fd(o, "slave", e->slave);
        json_add_u64(o, "restRead", e->rest_read);
        handover_add_fd(input, "fd", e->input.fd);
        json_add_bool(input, "ended", e->input.ended);
        json_add_bool(input, "lineBegun", e->input.line_begun);
        handover_add_bytes(input, "queue", &e->input.queue, bytes);
        json_add(o, "input", input);
        return o;
}

struct json_object *exec_save(struct agent *agent, struct buf *bytes)
{
        struct json_object *array = json_object_new_array();
        struct exec *e;

        LIST_FOREACH(e, &agent->commands, link)
        json_object_array_add(array, save(e, bytes));
        return array;
}

static int resume_input(struct exec *e, struct json_object *saved, const struct buf *bytes, struct error *err)
{
        int fd;

        if (handover_get_fd(saved, "fd", &fd, err) < 0 ||
            handover_get_bytes(json_get(saved, "queue"), bytes, &e->input.queue, err) < 0)
                return -1;
        e->input.line_begun = json_get_bool(saved, "lineBegun", false);
        if (fd >= 0)
                input_open(&e->input, e->agent->loop, e->stream, fd, e->slave);
        if (json_get_bool(saved, "ended", false))
                input_end(&e->input);
        return 0;
}

static int resume(struct agent *agent, struct json_object *saved, const struct buf *bytes, struct error *err)
{
        uint64_t pid = json_get_u64(saved, "pid", 0), id = json_get_u64(saved, "stream", 0);
        struct stream *stream = id ? mux_resume_stream(agent->mux, (uint32_t)id) : NULL;
        struct exec *e;

        if (pid < 1 || pid > INT32_MAX || (id && !stream))
                return error_set(err, ERR_INVALID, "a command that cannot be");
        e = exec_new(agent, stream);
        strv_add(&e->argv, json_get_string(saved, "name", "?"));
        e->pid = (pid_t)pid;
        e->wait_status = (int)json_get_u64(saved, "waitStatus", 0);
        e->rest_read = json_get_u64(saved, "restRead", 0);
        if (handover_get_fd(saved, "stdout", &e->outputs[0].fd, err) < 0 ||
            handover_get_fd(saved, "stderr", &e->outputs[1].fd, err) < 0 || handover_get_fd(saved, "slave", &e->slave, err) < 0 ||
            resume_input(e, json_get(saved, "input"), bytes, err) < 0)
                return -1;
        if (!json_get_bool(saved, "reaped", false))
                exec_watch_child(e);
        if (json_get_bool(saved, "killing", false))
                exec_kill_later(e);
        exec_watch_outputs(e);
        return 0;
}

int exec_resume(struct agent *agent, struct json_object *saved, const struct buf *bytes, struct error *err)
{
        for (size_t i = 0; i < json_object_array_length(saved); i++)
                if (resume(agent, json_object_array_get_idx(saved, i), bytes, err) < 0)
                        return -1;
        return 0;
}
