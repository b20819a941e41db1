/* SPDX-License-Identifier: MIT */
/* What somebody wants to run in a VM: its first bytes. Checked beside memory safety: what is said of it fits together. */
#include "binfmt/file_kind.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        autofree char *text = NULL;
        struct file_kind k;

        file_kind_read(data, size, &k);
        text = file_kind_text(&k);
        if (!text[0] || !memchr(k.interpreter, '\0', sizeof(k.interpreter)))
                abort();
        if ((size == 0) != (k.type == FILE_EMPTY) || (k.type == FILE_SCRIPT && !k.interpreter[0]))
                abort();
        if (k.type != FILE_SCRIPT && k.type != FILE_PROGRAM && k.interpreter[0])
                abort();
        if (k.architecture && (k.architecture->machine != k.machine || k.architecture->elf_class != k.elf_class))
                abort();
        return 0;
}
