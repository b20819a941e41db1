/* SPDX-License-Identifier: MIT */
#include "archive/name.h"

#include "base/util.h"

#include <string.h>

char *name_of_source(const char *path)
{
        size_t end = strlen(path), start;

        while (end > 0 && path[end - 1] == '/')
                end--;
        start = end;
        while (start > 0 && path[start - 1] != '/')
                start--;
        if (start == end || (end - start == 2 && memcmp(path + start, "..", 2) == 0))
                return xstrdup(".");
        return xstrndup(path + start, end - start);
}

char *name_escape(const char *name)
{
        struct buf b = {0};

        for (const char *p = name; *p; p++)
                if (*p > ' ' && *p < 0x7f && *p != '%')
                        buf_append(&b, p, 1);
                else
                        buf_printf(&b, "%%%02X", (unsigned char)*p);
        return buf_take_string(&b);
}

static int digit(char c)
{
        const char *digits = "0123456789ABCDEF", *at = c ? strchr(digits, c) : NULL;

        return at ? (int)(at - digits) : -1;
}

char *name_unescape(const char *text)
{
        autofree char *name = xcalloc(strlen(text) + 1, 1);
        char *to = name;

        for (const char *p = text; *p; p++) {
                int value = (unsigned char)*p;

                if (*p == '%') {
                        int high = digit(p[1]), low = high < 0 ? -1 : digit(p[2]);

                        if (low < 0)
                                return NULL;
                        value = 16 * high + low;
                        p += 2;
                }
                if (value == 0)
                        return NULL;
                *to++ = (char)value;
        }
        return take_ptr(name);
}
