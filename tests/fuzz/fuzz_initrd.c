/* SPDX-License-Identifier: MIT */
/* Any bytes as an unpacked initrd.  Checked beside memory safety: a file is found whole or not at all, and what we append to an
 * archive is found, whatever was before it, as long as that is one. */
#include "provision/initrd.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
        if (!holds)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char zeros[4];
        struct error err = ERROR_INIT;
        autobuf struct buf b = {0};
        autofree char *found = initrd_find(data, size, "file", &err), *ours = NULL, *status = NULL;

        require(found || err.code == ERR_NOT_FOUND || err.code == ERR_INVALID);
        status = initrd_find(data, size, "var/lib/dpkg/status", &err);
        buf_append(&b, data, size);
        buf_append(&b, zeros, (4 - size % 4) % 4);
        initrd_add(&b, "file", 0644, "ours", 4);
        initrd_end(&b);
        ours = initrd_find(buf_head(&b), buf_size(&b), "file", NULL);
        require(found || err.code == ERR_INVALID || streq(ours, "ours"));
        require(!found || streq(ours, "ours"));
        return 0;
}
