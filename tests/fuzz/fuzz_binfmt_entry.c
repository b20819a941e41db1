/* SPDX-License-Identifier: MIT */
/* The text of an entry of binfmt_misc. Checked beside memory safety: an entry matches what is made of its own magic. */
#include "binfmt/entry.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        autofree char *text = xstrndup((const char *)data, size);
        autofree uint8_t *head = NULL;
        struct error err = ERROR_INIT;
        struct binfmt_entry e;

        if (binfmt_entry_parse("fuzz", text, &e, &err) < 0) {
                if (err.code == ERR_NONE || !err.message[0])
                        abort();
                return 0;
        }
        if (!e.interpreter || !e.extension == !e.magic || (binfmt_entry_good(&e) && !e.enabled))
                abort();
        binfmt_entry_matches(&e, "a.jar", data, size);
        if (e.magic) {
                head = xcalloc((size_t)e.offset + e.size, 1);
                memcpy(head + e.offset, e.magic, e.size);
                if (binfmt_entry_matches(&e, "x", head, (size_t)e.offset + e.size) != e.enabled)
                        abort();
        }
        binfmt_entry_done(&e);
        return 0;
}
