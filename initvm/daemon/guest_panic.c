/* SPDX-License-Identifier: MIT */
#include "daemon/guest_panic.h"

#include "base/util.h"

#include <string.h>

/* Linux' words: panic() in kernel/panic.c, and linux_banner, which every boot begins with. */
#define PANIC "Kernel panic - not syncing: "
#define BOOT  "Linux version "

/* Of the lines up to that of the panic, as many are worth reading: an oops names the culprit some lines before. */
#define LINES_SHOWN 8

static const char *last_of(const char *text, size_t n, const char *word)
{
        const char *last = NULL, *found;
        size_t length = strlen(word);

        for (const char *at = text; (found = memmem(at, n - (size_t)(at - text), word, length)); at = found + length)
                last = found;
        return last;
}

char *guest_panic_find(const char *text, size_t n)
{
        const char *panic = last_of(text, n, PANIC), *boot = last_of(text, n, BOOT), *begin = panic, *end;
        size_t rest;
        unsigned lines = 0;

        if (!panic || (boot && boot > panic)) /* it has booted since then */
                return NULL;
        rest = n - (size_t)(panic - text);
        for (end = panic; rest > 0 && *end != '\n' && *end != '\r'; end++)
                rest--;
        while (begin > text && (begin[-1] != '\n' || ++lines < LINES_SHOWN))
                begin--;
        panic += strlen(PANIC);
        return xasprintf(
                "the guest's kernel panicked (%.*s), and the VM has booted again; the console's last lines before that:\n%.*s",
                (int)MAX(end - panic, (ptrdiff_t)0), panic, (int)(end - begin), begin);
}
