/* SPDX-License-Identifier: MIT */
#include "wire/varlink.h"

#include <string.h>

int varlink_take(struct buf *in, struct json_object **ret, struct error *err)
{
        const char *head = (const char *)buf_head(in);
        const char *end = head ? memchr(head, '\0', buf_size(in)) : NULL;
        struct json_object *o;
        size_t n;

        if (!end) {
                if (buf_size(in) > VARLINK_MESSAGE_MAX)
                        return error_set(err, ERR_PROTOCOL, "message of more than %s", format_size(VARLINK_MESSAGE_MAX));
                return 0;
        }
        n = (size_t)(end - head);
        if (n > VARLINK_MESSAGE_MAX)
                return error_set(err, ERR_PROTOCOL, "message of more than %s", format_size(VARLINK_MESSAGE_MAX));
        o = json_parse(head, n, err);
        if (!o) {
                if (err)
                        err->code = ERR_PROTOCOL;
                return -1;
        }
        buf_consume(in, n + 1);
        *ret = o;
        return 1;
}

int varlink_read_call(struct json_object *message, struct varlink_call *ret, struct error *err)
{
        struct varlink_call call = {0};
        const struct json_field fields[] = {
                {"method", JSON_FIELD_STRING, JSON_REQUIRED, &call.method},
                {"parameters", JSON_FIELD_OBJECT, 0, &call.parameters},
                {"more", JSON_FIELD_BOOL, 0, &call.more},
                {"oneway", JSON_FIELD_BOOL, 0, &call.oneway},
                {"upgrade", JSON_FIELD_BOOL, 0, &call.upgrade},
        };

        if (json_read(message, fields, ARRAY_SIZE(fields), err) < 0) {
                if (err)
                        err->code = ERR_PROTOCOL;
                return error_prefix(err, "not a Varlink call");
        }
        *ret = call;
        return 0;
}

int varlink_read_reply(struct json_object *message, struct json_object **ret_parameters, bool *ret_continues, struct error *err)
{
        struct json_object *parameters = NULL;
        const char *name = NULL;
        bool continues = false;
        const struct json_field fields[] = {
                {"parameters", JSON_FIELD_OBJECT, 0, &parameters},
                {"continues", JSON_FIELD_BOOL, 0, &continues},
                {"error", JSON_FIELD_STRING, 0, &name},
        };

        if (json_read(message, fields, ARRAY_SIZE(fields), err) < 0) {
                if (err)
                        err->code = ERR_PROTOCOL;
                return error_prefix(err, "not a Varlink reply");
        }
        if (name)
                return error_set(err, error_from_wire_name(name), "%s", json_get_string(parameters, "message", name));
        if (ret_parameters)
                *ret_parameters = parameters;
        if (ret_continues)
                *ret_continues = continues;
        return 0;
}

struct json_object *varlink_call_new(const char *method, struct json_object *parameters, unsigned flags)
{
        struct json_object *o = json_new();

        json_add_string(o, "method", method);
        json_add(o, "parameters", parameters);
        if (flags & VARLINK_MORE)
                json_add_bool(o, "more", true);
        if (flags & VARLINK_ONEWAY)
                json_add_bool(o, "oneway", true);
        if (flags & VARLINK_UPGRADE)
                json_add_bool(o, "upgrade", true);
        return o;
}

struct json_object *varlink_reply_new(struct json_object *parameters, bool continues)
{
        struct json_object *o = json_new();

        json_add(o, "parameters", parameters ? parameters : json_new());
        if (continues)
                json_add_bool(o, "continues", true);
        return o;
}

struct json_object *varlink_error_new(const struct error *error)
{
        struct json_object *o = json_new(), *parameters = json_new();

        json_add_string(parameters, "message", error->message);
        json_add_string(o, "error", error_wire_name(error->code));
        json_add(o, "parameters", parameters);
        return o;
}

static void write_message(struct buf *out, struct json_object *owned)
{
        const char *line = json_line(owned);

        buf_append(out, line, strlen(line) + 1);
        json_object_put(owned);
}

void varlink_write_call(struct buf *out, const char *method, struct json_object *parameters, unsigned flags)
{
        write_message(out, varlink_call_new(method, parameters, flags));
}

void varlink_write_reply(struct buf *out, struct json_object *parameters, bool continues)
{
        write_message(out, varlink_reply_new(parameters, continues));
}

void varlink_write_error(struct buf *out, const struct error *error)
{
        write_message(out, varlink_error_new(error));
}
