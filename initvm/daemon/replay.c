/* SPDX-License-Identifier: MIT */
#include "daemon/replay.h"

#include <stdbool.h>
#include <string.h>

#define ESC 0x1b
#define BEL 0x07

/* A control sequence that begins at data (ESC [): its length, 0 when it is cut off or broken (ECMA-48, 5.4). */
static size_t csi_length(const uint8_t *data, size_t n)
{
        size_t i = 2;

        while (i < n && data[i] >= 0x30 && data[i] <= 0x3f) /* parameters */
                i++;
        while (i < n && data[i] >= 0x20 && data[i] <= 0x2f) /* intermediates */
                i++;
        return i < n && data[i] >= 0x40 && data[i] <= 0x7e ? i + 1 : 0;
}

static bool csi_is_query(const uint8_t *data, size_t length)
{
        uint8_t final = data[length - 1];

        return final == 'n' || final == 'c' || final == 't' || (final == 'p' && memchr(data, '$', length));
}

/* An operating system command (ESC ] ... BEL or ESC \) or a device control string (ESC P ...): its length, 0 when cut off. */
static size_t string_length(const uint8_t *data, size_t n)
{
        for (size_t i = 2; i < n; i++) {
                if (data[i] == BEL)
                        return i + 1;
                if (data[i] == ESC)
                        return i + 1 < n && data[i + 1] == '\\' ? i + 2 : 0;
        }
        return 0;
}

static bool string_is_query(const uint8_t *data, size_t length)
{
        return data[1] == ']' ? memchr(data, '?', length) != NULL : memchr(data, 'q', length) != NULL;
}

size_t replay_without_queries(uint8_t *data, size_t n)
{
        size_t in = 0, out = 0;

        while (in < n) {
                size_t length = 0;
                bool query = false;

                if (data[in] == ESC && in + 1 < n && data[in + 1] == '[') {
                        length = csi_length(data + in, n - in);
                        query = length && csi_is_query(data + in, length);
                } else if (data[in] == ESC && in + 1 < n && (data[in + 1] == ']' || data[in + 1] == 'P')) {
                        length = string_length(data + in, n - in);
                        query = length && string_is_query(data + in, length);
                }
                if (length == 0)
                        length = 1;
                if (!query) {
                        memmove(data + out, data + in, length);
                        out += length;
                }
                in += length;
        }
        return out;
}
