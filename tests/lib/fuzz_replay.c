/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over its corpus, tests/fuzz/corpus/<name>/, without a fuzzer: fuzz_preseed reads corpus/preseed/.
 * Prints TAP, one test per target.  An input that makes the target die is the last one named on standard error.
 */
#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int select_file(const struct dirent *entry)
{
        return entry->d_name[0] != '.';
}

/* An exact heap copy, so that ASan sees a read of one byte too many. */
static int replay(const char *path)
{
        struct error err = ERROR_INIT;
        size_t n = 0;
        autofree char *text = file_read(path, INPUT_MAX, &n, &err);
        if (!text) {
                printf("# %s\n", err.message);
                return -1;
        }
        autofree uint8_t *data = xcalloc(n ? n : 1, 1);
        memcpy(data, text, n);
        LLVMFuzzerTestOneInput(data, n);
        return 0;
}

int main(int argc, char **argv)
{
        const char *base = strrchr(argv[0], '/');
        base = base ? base + 1 : argv[0];
        const char *name = str_has_prefix(base, "fuzz_") ? base + strlen("fuzz_") : base;
        autofree char *folder = argc > 1 ? xstrdup(argv[1]) : xasprintf("%s/fuzz/corpus/%s", INITVM_TESTS, name);

        struct dirent **entries = NULL;
        int n = scandir(folder, &entries, select_file, alphasort);
        int failed = n <= 0;
        for (int i = 0; i < n; i++) {
                autofree char *path = xasprintf("%s/%s", folder, entries[i]->d_name);
                fprintf(stderr, "# %s\n", path);
                if (replay(path) < 0)
                        failed = 1;
                free(entries[i]);
        }
        free(entries);
        if (n <= 0)
                printf("# there is no corpus in '%s'\n", folder);
        printf("1..1\n%sok 1 - %s replays %d inputs\n", failed ? "not " : "", base, MAX(n, 0));
        return failed;
}
