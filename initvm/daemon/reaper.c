/* SPDX-License-Identifier: MIT */
#include "daemon/reaper.h"

#include "base/util.h"

#include <stdlib.h>

struct reaper {
        struct loop_source *exit;
};

static void on_exit_of_child(void *userdata, int wait_status)
{
        struct reaper *r = userdata;

        (void)wait_status;
        loop_source_free(r->exit);
        free(r);
}

void reaper_take(struct loop *loop, pid_t pid)
{
        struct reaper *r = xcalloc(1, sizeof(*r));

        r->exit = loop_add_child(loop, pid, on_exit_of_child, r);
}
