/* SPDX-License-Identifier: MIT */
/* Any bytes on an installer's two ports, the first half on its log, the rest on its console.  Checked beside memory safety: it
 * makes no difference in which pieces they come, and what is shown is clean text. */
#include "daemon/installer_watch.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
        if (!holds)
                abort();
}

static struct installer_watch *watched(const uint8_t *data, size_t size, size_t piece)
{
        struct installer_watch *w = installer_watch_new();
        size_t half = size / 2;

        for (size_t i = 0; i < half; i += piece)
                installer_watch_log(w, data + i, MIN(piece, half - i));
        for (size_t i = half; i < size; i += piece)
                installer_watch_console(w, data + i, MIN(piece, size - i));
        return w;
}

static void require_clean(const char *text)
{
        for (; *text; text++)
                require(*text == '\n' || (*text >= 0x20 && *text < 0x7f));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct installer_watch *one = watched(data, size, size + 1), *many = watched(data, size, 7);
        autofree char *words = installer_watch_words(one), *tail = installer_watch_log_tail(one);
        autofree char *tail_of_many = installer_watch_log_tail(many);
        struct installer_progress a, b;

        installer_watch_progress(one, &a);
        installer_watch_progress(many, &b);
        require(streq(a.stage, b.stage) && streq(tail, tail_of_many));
        require(streq(installer_watch_question(one), installer_watch_question(many)) ||
                (!installer_watch_question(one) && !installer_watch_question(many)));
        require(a.percent >= -1 && a.percent <= 100);
        require_clean(words);
        require_clean(tail);
        installer_watch_free(one);
        installer_watch_free(many);
        return 0;
}
