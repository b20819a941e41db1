/* SPDX-License-Identifier: MIT */
#include "daemon/progress.h"

struct json_object *progress_stage(const char *stage, const char *state, const char *text, uint64_t elapsed)
{
        struct json_object *o = json_new();

        json_add_string(o, "stage", stage);
        json_add_string(o, "state", state);
        json_add_string(o, "text", text);
        json_add_u64(o, "elapsed", elapsed);
        return o;
}

static struct json_object *one(const char *key, const char *text)
{
        struct json_object *o = json_new();

        json_add_string(o, key, text);
        return o;
}

struct json_object *progress_notice(const char *text)
{
        return one("notice", text);
}

struct json_object *progress_warning(const char *text)
{
        return one("warning", text);
}
