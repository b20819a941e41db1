/* SPDX-License-Identifier: MIT */
#include "chroot/runs.h"

#include "binfmt/state.h"

int runs_check(const char *architecture, struct error *err)
{
        autojson struct json_object *rows = json_parse_file(BINFMT_STATE, NULL);

        return binfmt_state_check(rows, architecture, err);
}

int runs_check_chroot(const struct store *s, const char *name, struct error *err)
{
        autojson struct json_object *record = store_record(s, name, err);

        return record ? runs_check(json_get_string(record, "architecture", NULL), err) : -1;
}
