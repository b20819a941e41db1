/* SPDX-License-Identifier: MIT */
#include "binfmt/state.h"

#include "base/util.h"

int binfmt_state_check(struct json_object *rows, const char *architecture, struct error *err)
{
        size_t n = json_object_is_type(rows, json_type_array) ? json_object_array_length(rows) : 0;

        for (size_t i = 0; i < n; i++) {
                struct json_object *row = json_object_array_get_idx(rows, i);

                if (!streq(json_get_string(row, "architecture", NULL), architecture) ||
                    streq(json_get_string(row, "state", "proven"), "proven"))
                        continue;
                return error_set(err, ERR_UNSUPPORTED,
                                 "programs for %s cannot be executed in this VM: %s; 'initvm binfmt test %s' tries it again",
                                 architecture, json_get_string(row, "proof", "their proof has failed"), architecture);
        }
        return 0;
}
