/* SPDX-License-Identifier: MIT */
/*
 * The JSON reader on any bytes.  Checked beside memory safety: what it accepts it writes as JSON that it accepts again, as the
 * same value; what it refuses it refuses with a reason.
 */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_by_table(struct json_object *o)
{
        const char *s = NULL;
        bool b = false;
        uint64_t u = 0;
        struct json_object *array = NULL, *strings = NULL, *inner = NULL, *any = NULL;
        const struct json_field fields[] = {
                {"s", JSON_FIELD_STRING, 0, &s},
                {"b", JSON_FIELD_BOOL, 0, &b},
                {"u", JSON_FIELD_U64, 0, &u},
                {"a", JSON_FIELD_ARRAY, 0, &array},
                {"v", JSON_FIELD_STRINGS, 0, &strings},
                {"o", JSON_FIELD_OBJECT, 0, &inner},
                {"y", JSON_FIELD_ANY, JSON_REQUIRED, &any},
        };
        struct error err = ERROR_INIT;

        if (json_read(o, fields, ARRAY_SIZE(fields), &err) < 0 && (err.code != ERR_INVALID || !*err.message))
                abort();
        if (json_read_lenient(o, fields, ARRAY_SIZE(fields), NULL) == 0 && !any)
                abort();
        if (strings) {
                autostrv char **v = json_to_strv(strings);
                if (strv_length(v) != json_object_array_length(strings))
                        abort();
        }
        json_get_string(o, "s", NULL);
        json_get_u64(o, "u", 0);
        json_get_bool(o, "b", false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct error err = ERROR_INIT;
        autojson struct json_object *o = json_parse((const char *)data, size, &err), *again = NULL;

        if (!o) {
                if (err.code != ERR_INVALID || !*err.message)
                        abort();
                return 0;
        }
        again = json_parse(json_line(o), strlen(json_line(o)), &err);
        if (!again || !json_object_equal(o, again))
                abort();
        read_by_table(o);
        return 0;
}
