/* SPDX-License-Identifier: MIT */
#include "image/request.h"

int image_request_read(struct image_request *r, struct json_object *parameters, struct error *err)
{
        const struct json_field fields[] = {
                {"image", JSON_FIELD_STRING, JSON_REQUIRED, &r->image},
                {"kvm", JSON_FIELD_BOOL, 0, &r->kvm},
                {"root", JSON_FIELD_STRING, 0, &r->root},
                {"size", JSON_FIELD_U64, 0, &r->size},
                {"repair", JSON_FIELD_BOOL, 0, &r->repair},
                {"paths", JSON_FIELD_STRINGS, 0, &r->paths},
                {"stream", JSON_FIELD_STRING, 0, &r->stream},
                {"file", JSON_FIELD_STRING, 0, &r->file},
                {"snapshot", JSON_FIELD_STRING, 0, &r->snapshot},
                {"hostname", JSON_FIELD_STRING, 0, &r->hostname},
                {"agent", JSON_FIELD_STRING, 0, &r->agent},
                {"architecture", JSON_FIELD_STRING, 0, &r->architecture},
        };

        *r = (struct image_request){0};
        if (!parameters)
                return error_set(err, ERR_PROTOCOL, "the call has no parameters");
        if (json_read(parameters, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        if (r->image[0] != '/' || (r->file && r->file[0] != '/'))
                return error_set(err, ERR_INVALID, "'%s' is no absolute path", r->image[0] != '/' ? r->image : r->file);
        return 0;
}
