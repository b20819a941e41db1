/* SPDX-License-Identifier: MIT */
/*
 * A submitted job on any bytes.  Checked beside memory safety: what is refused is refused with a reason; what is accepted has a
 * printable name, and is accepted by the guest as well.
 */
#include "base/util.h"
#include "job/spec.h"
#include "wire/job_spec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct error err = ERROR_INIT;
        autojson struct json_object *o = json_parse((const char *)data, size, &err), *guest = NULL;
        autospec struct spec read = {0};
        struct job_spec s;

        if (!o)
                return 0;
        if (job_spec_read(o, &s, &err) < 0) {
                if (err.code != ERR_INVALID || !*err.message)
                        abort();
                return 0;
        }
        autofree char *name = job_spec_name(&s);
        for (const char *c = name; *c; c++)
                if ((unsigned char)*c < 0x20)
                        abort();
        bool made = s.architecture || s.suite || s.dsc || s.folder; /* a chroot that has a name by then */
        guest = job_spec_for_guest(&s, 1, "00000000000000000000000000000000",
                                   s.chroot ? s.chroot
                                   : made   ? "box"
                                            : NULL,
                                   s.inputs != NULL);
        if (spec_read(json_object_get(guest), &read, &err) < 0) {
                fprintf(stderr, "refused by the guest: %s\n", err.message);
                abort();
        }
        return 0;
}
