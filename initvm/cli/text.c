/* SPDX-License-Identifier: MIT */
#include "cli/text.h"

#include <inttypes.h>
#include <string.h>

/* Words that are compared are commands and options: longer ones are not near to any. */
#define WORD_MAX 63

#define ELLIPSIS "\xe2\x80\xa6"

unsigned text_distance(const char *a, const char *b)
{
        size_t n = strlen(a), m = strlen(b);
        unsigned row[3][WORD_MAX + 2];

        if (n > WORD_MAX || m > WORD_MAX)
                return (unsigned)MAX(n, m);
        for (size_t j = 0; j <= m; j++)
                row[0][j] = (unsigned)j;
        for (size_t i = 1; i <= n; i++) {
                unsigned *here = row[i % 3], *above = row[(i + 2) % 3], *before = row[(i + 1) % 3];

                here[0] = (unsigned)i;
                for (size_t j = 1; j <= m; j++) {
                        unsigned best = MIN(above[j] + 1, here[j - 1] + 1);

                        best = MIN(best, above[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                best = MIN(best, before[j - 2] + 1);
                        here[j] = best;
                }
        }
        return row[n % 3][m];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
        unsigned best = ((unsigned)strlen(word) + 1) / 3; /* about a third of the letters may be wrong */
        const char *nearest = NULL;

        for (size_t i = 0; i < n; i++) {
                unsigned d = text_distance(word, candidates[i]);

                if (d < best || (d == best && !nearest && d < strlen(candidates[i]))) {
                        best = d;
                        nearest = candidates[i];
                }
        }
        return nearest;
}

char *text_duration(uint64_t ms)
{
        uint64_t s = ms / 1000;

        if (s < 60)
                return xasprintf("%" PRIu64 " s", s);
        if (s < 3600)
                return xasprintf("%" PRIu64 " min", s / 60);
        if (s < 86400)
                return xasprintf("%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
        return xasprintf("%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
}

void text_append_safe(struct buf *out, const char *text, bool lines)
{
        for (; *text; text++) {
                unsigned char c = (unsigned char)*text;
                bool control = (c < 0x20 && c != '\t' && !(lines && c == '\n')) || c == 0x7f;

                buf_append(out, control ? "?" : text, 1);
        }
}

/* A byte that begins a character; the others are 10xxxxxx (RFC 3629). */
static bool begins_character(char c)
{
        return ((unsigned char)c & 0xc0) != 0x80;
}

size_t text_width(const char *text)
{
        size_t n = 0;

        for (; *text; text++)
                n += begins_character(*text);
        return n;
}

void text_append_cut(struct buf *out, const char *text, size_t width)
{
        bool cut = text_width(text) > width;
        size_t room = cut && width > 0 ? width - 1 : width;
        size_t n = 0;

        for (; text[n]; n++) {
                if (begins_character(text[n]) && room-- == 0)
                        break;
        }
        buf_append(out, text, n);
        if (cut && width > 0)
                buf_append(out, ELLIPSIS, strlen(ELLIPSIS));
}

static void append_line(struct buf *out, const char *line, size_t indent, size_t width)
{
        autostrv char **words = strv_split(line, " ");
        size_t column = 0;

        for (size_t i = 0; words[i]; i++) {
                size_t w = text_width(words[i]);

                if (column > 0 && column + 1 + w > width) {
                        buf_append(out, "\n", 1);
                        column = 0;
                }
                if (column == 0) {
                        buf_printf(out, "%*s%s", (int)indent, "", words[i]);
                        column = indent + w;
                } else {
                        buf_printf(out, " %s", words[i]);
                        column += 1 + w;
                }
        }
        buf_append(out, "\n", 1);
}

void text_append_wrapped(struct buf *out, const char *text, size_t indent, size_t width)
{
        while (*text) {
                size_t n = strcspn(text, "\n");
                autofree char *line = xstrndup(text, n);

                append_line(out, line, indent, width);
                text += n + (text[n] == '\n');
        }
}
