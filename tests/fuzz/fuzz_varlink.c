/* SPDX-License-Identifier: MIT */
/*
 * Messages out of any bytes, which come in pieces of a size that the first byte says.  Checked beside memory safety: what comes
 * out does not depend on the pieces, every refusal is a protocol error with a reason, and an error that is read can be sent on.
 */
#include "wire/varlink.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(const struct error *err)
{
        if (err->code != ERR_PROTOCOL || !*err->message)
                abort();
}

static void check_error(const struct error *err)
{
        autobuf struct buf wire = {0};
        struct error got = ERROR_INIT;
        struct json_object *o = NULL;

        varlink_write_error(&wire, err);
        if (varlink_take(&wire, &o, &got) != 1 || buf_size(&wire) != 0)
                abort();
        if (varlink_read_reply(o, NULL, NULL, &got) != -1 || got.code != err->code || strcmp(got.message, err->message) != 0)
                abort();
        json_object_put(o);
}

static void read_message(struct json_object *message)
{
        struct varlink_call call = {0};
        struct json_object *parameters = NULL;
        struct error err = ERROR_INIT;
        bool continues;

        if (varlink_read_call(message, &call, &err) < 0)
                check_refusal(&err);
        else if (!call.method)
                abort();
        err = (struct error)ERROR_INIT;
        if (varlink_read_reply(message, &parameters, &continues, &err) < 0)
                check_error(&err);
}

static int take_all(const uint8_t *data, size_t size, size_t piece, struct buf *report)
{
        autobuf struct buf in = {0};
        struct error err = ERROR_INIT;
        int r = 0;

        for (size_t at = 0; at < size && r >= 0; at += piece) {
                struct json_object *message = NULL;

                buf_append(&in, data + at, MIN(piece, size - at));
                while ((r = varlink_take(&in, &message, &err)) == 1) {
                        read_message(message);
                        buf_printf(report, "%s\n", json_line(message));
                        json_object_put(message);
                }
        }
        if (r < 0)
                check_refusal(&err);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        autobuf struct buf whole = {0}, cut = {0};
        int r;

        if (size < 1)
                return 0;
        r = take_all(data + 1, size - 1, size, &whole);
        if (take_all(data + 1, size - 1, (size_t)data[0] + 1, &cut) != r)
                abort();
        if (buf_size(&whole) != buf_size(&cut) ||
            (buf_size(&whole) > 0 && memcmp(buf_head(&whole), buf_head(&cut), buf_size(&cut)) != 0))
                abort();
        return 0;
}
