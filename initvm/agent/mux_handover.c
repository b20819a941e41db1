/* SPDX-License-Identifier: MIT */
#include "agent/handover.h"
#include "agent/mux_private.h"

#include <json-c/json.h>

static struct json_object *stream_save(const struct stream *s)
{
        struct json_object *o = json_new();

        json_add_u64(o, "id", s->id);
        json_add_u64(o, "credit", s->credit);
        json_add_u64(o, "window", s->window);
        json_add_u64(o, "ungranted", s->ungranted);
        return o;
}

struct json_object *mux_save(const struct mux *mux, struct buf *bytes)
{
        struct json_object *o = json_new(), *streams = json_object_new_array();

        for (size_t i = 0; i < mux->n_streams; i++)
                json_object_array_add(streams, stream_save(mux->streams[i]));
        json_add(o, "streams", streams);
        json_add_bool(o, "synced", mux->synced);
        json_add_bool(o, "hunting", mux->decoder.hunting);
        handover_add_bytes(o, "in", &mux->decoder.in, bytes);
        handover_add_bytes(o, "out", &mux->out, bytes);
        return o;
}

static int stream_resume(struct mux *mux, struct json_object *saved, struct error *err)
{
        uint64_t id = 0, credit = 0, window = 0, ungranted = 0;
        const struct json_field fields[] = {
                {"id", JSON_FIELD_U64, JSON_REQUIRED, &id},
                {"credit", JSON_FIELD_U64, JSON_REQUIRED, &credit},
                {"window", JSON_FIELD_U64, JSON_REQUIRED, &window},
                {"ungranted", JSON_FIELD_U64, JSON_REQUIRED, &ungranted},
        };
        struct stream *s;

        if (json_read(saved, fields, ARRAY_SIZE(fields), err) < 0)
                return error_prefix(err, "stream");
        if (id == 0 || id > UINT32_MAX || credit > FRAME_WINDOW || window > FRAME_WINDOW || ungranted > FRAME_WINDOW ||
            mux->n_streams == STREAMS_MAX || mux_stream_find(mux, (uint32_t)id))
                return error_set(err, ERR_INVALID, "stream %llu cannot be", (unsigned long long)id);
        s = mux_stream_new(mux, (uint32_t)id);
        s->credit = (uint32_t)credit;
        s->window = (uint32_t)window;
        s->ungranted = (uint32_t)ungranted;
        return 0;
}

static int resume(struct mux *mux, struct json_object *saved, const struct buf *bytes, struct error *err)
{
        struct json_object *streams = NULL, *in = NULL, *out = NULL;
        const struct json_field fields[] = {
                {"streams", JSON_FIELD_ARRAY, JSON_REQUIRED, &streams},
                {"synced", JSON_FIELD_BOOL, JSON_REQUIRED, &mux->synced},
                {"hunting", JSON_FIELD_BOOL, JSON_REQUIRED, &mux->decoder.hunting},
                {"in", JSON_FIELD_OBJECT, JSON_REQUIRED, &in},
                {"out", JSON_FIELD_OBJECT, JSON_REQUIRED, &out},
        };

        if (json_read(saved, fields, ARRAY_SIZE(fields), err) < 0 || handover_get_bytes(in, bytes, &mux->decoder.in, err) < 0 ||
            handover_get_bytes(out, bytes, &mux->out, err) < 0)
                return -1;
        for (size_t i = 0; i < json_object_array_length(streams); i++)
                if (stream_resume(mux, json_object_array_get_idx(streams, i), err) < 0)
                        return -1;
        return 0;
}

struct mux *mux_resume(struct loop *loop, struct port *port, const struct mux_handler *handler, void *userdata,
                       struct json_object *saved, const struct buf *bytes, struct error *err)
{
        struct mux *mux = mux_make(loop, port, handler, userdata);

        if (resume(mux, saved, bytes, err) == 0)
                return mux;
        while (mux->n_streams > 0) /* nobody has taken them */
                mux_stream_free(mux->streams[0]);
        mux_free(mux);
        return NULL;
}

struct stream *mux_resume_stream(struct mux *mux, uint32_t id)
{
        struct stream *s = mux_stream_find(mux, id);

        return s && !s->ops ? s : NULL;
}

void mux_resumed(struct mux *mux)
{
        struct error err = ERROR_INIT;

        error_set(&err, ERR_DISCONNECTED, "the agent in the VM was replaced by a newer one; try again");
        for (size_t i = mux->n_streams; i-- > 0;)
                if (!mux->streams[i]->ops)
                        stream_fail(mux->streams[i], &err);
        mux_say_hello(mux);
}
