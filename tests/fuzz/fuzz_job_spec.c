/* SPDX-License-Identifier: MIT */
/* A job's description as it comes from the host. Checked beside memory safety: what is accepted keeps the promises of spec.h. */
#include "job/spec.h"

#include "base/util.h"
#include "job/job.h"
#include "job/unit.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct spec *s)
{
        bool package = s->package_dsc || s->package_folder;
        const struct job job = {.id = (char *)"1", .unit = (char *)"initvm-job-1.service"};
        autostrv char **argv = unit_start_argv(&job, s, "/program");

        if ((s->command != NULL) + (s->script != NULL) + package != 1 || (s->command && !s->command[0]))
                abort();
        if (!s->chroot && (package || s->packages))
                abort();
        for (char **p = s->packages; p && *p; p++)
                if (**p == '-' || !**p)
                        abort();
        for (char **e = s->environment; e && *e; e++)
                if (!strchr(*e, '=') || **e == '=')
                        abort();
        /* Nothing of it can be taken for an option of systemd-run(1) but what we have made. */
        for (char **word = argv + 1; *word && !streq(*word, "--"); word++)
                if (!str_has_prefix(*word, "--"))
                        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct error err = ERROR_INIT;
        struct spec s = {0};

        if (spec_read(json_parse((const char *)data, size, &err), &s, &err) < 0) {
                if (err.code == ERR_NONE || !err.message[0])
                        abort();
                return 0;
        }
        check(&s);
        spec_done(&s);
        return 0;
}
