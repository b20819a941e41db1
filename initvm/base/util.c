/* SPDX-License-Identifier: MIT */
#include "base/util.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

void cleanup_free(void *p)
{
        free(*(void **)p);
}

void cleanup_close(int *fd)
{
        if (*fd >= 0) {
                int saved = errno;
                close(*fd);
                errno = saved;
        }
}

void cleanup_fclose(FILE **f)
{
        if (*f)
                fclose(*f);
}

void cleanup_strv(char ***v)
{
        strv_free(*v);
}

void *xcalloc(size_t n, size_t size)
{
        void *p = calloc(n ? n : 1, size ? size : 1);
        if (!p)
                abort();
        return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
        p = reallocarray(p, n ? n : 1, size ? size : 1);
        if (!p)
                abort();
        return p;
}

char *xstrdup(const char *s)
{
        return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
        char *p = strndup(s, n);
        if (!p)
                abort();
        return p;
}

char *xvasprintf(const char *fmt, va_list ap)
{
        char *p;
        if (vasprintf(&p, fmt, ap) < 0)
                abort();
        return p;
}

char *xasprintf(const char *fmt, ...)
{
        va_list ap;
        char *p;

        va_start(ap, fmt);
        p = xvasprintf(fmt, ap);
        va_end(ap);
        return p;
}

bool str_has_prefix(const char *s, const char *prefix)
{
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_has_suffix(const char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);
        return n >= m && strcmp(s + n - m, suffix) == 0;
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
        uint64_t v = 0;

        if (!*s)
                return -1;
        for (; *s; s++) {
                if (!isdigit((unsigned char)*s))
                        return -1;
                if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
                        return -1;
        }
        if (v < min || v > max)
                return -1;
        *ret = v;
        return 0;
}

int parse_size(const char *s, uint64_t *ret)
{
        static const char suffixes[] = "KMGT";
        size_t n = strlen(s);
        unsigned shift = 0;
        uint64_t v;
        autofree char *digits = NULL;

        if (n > 0) {
                const char *p = strchr(suffixes, toupper((unsigned char)s[n - 1]));
                if (p && *p) {
                        shift = 10 * (unsigned)(p - suffixes + 1);
                        n--;
                }
        }
        digits = xstrndup(s, n);
        if (parse_u64(digits, 0, UINT64_MAX >> shift, &v) < 0)
                return -1;
        *ret = v << shift;
        return 0;
}

const char *format_size(uint64_t bytes)
{
        static _Thread_local char texts[4][32];
        static _Thread_local unsigned next;
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
        char *text = texts[next++ % ARRAY_SIZE(texts)];
        double v = (double)bytes;
        size_t u = 0;

        while (v >= 1023.5 && u + 1 < ARRAY_SIZE(units)) {
                v /= 1024;
                u++;
        }
        snprintf(text, sizeof(texts[0]), v < 10 && v != (double)(int)v ? "%.1f %s" : "%.0f %s", v, units[u]);
        return text;
}

size_t utf8_length(const char *s, size_t n)
{
        const uint8_t *p = (const uint8_t *)s;
        uint8_t low = 0x80, high = 0xbf; /* what the second byte may be: RFC 3629, section 4 */
        size_t length;

        if (p[0] < 0x80)
                return 1;
        if (p[0] < 0xc2 || p[0] > 0xf4)
                return 0;
        length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
        if (length > n)
                return 0;
        if (p[0] == 0xe0)
                low = 0xa0;
        else if (p[0] == 0xed)
                high = 0x9f;
        else if (p[0] == 0xf0)
                low = 0x90;
        else if (p[0] == 0xf4)
                high = 0x8f;
        if (p[1] < low || p[1] > high)
                return 0;
        for (size_t i = 2; i < length; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        return length;
}

bool vm_name_valid(const char *name)
{
        size_t n = strlen(name);

        if (n < 1 || n > VM_NAME_MAX || !isalnum((unsigned char)name[0]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!isascii((unsigned char)name[i]) || (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i])))
                        return false;
        return true;
}

size_t strv_length(char *const *v)
{
        size_t n = 0;
        while (v && v[n])
                n++;
        return n;
}

void strv_push(char ***v, char *owned)
{
        size_t n = strv_length(*v);

        *v = xrealloc(*v, n + 2, sizeof(char *));
        (*v)[n] = owned;
        (*v)[n + 1] = NULL;
}

void strv_add(char ***v, const char *s)
{
        strv_push(v, xstrdup(s));
}

void strv_addf(char ***v, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        strv_push(v, xvasprintf(fmt, ap));
        va_end(ap);
}

bool strv_contains(char *const *v, const char *s)
{
        for (; v && *v; v++)
                if (strcmp(*v, s) == 0)
                        return true;
        return false;
}

char **strv_split(const char *s, const char *separators)
{
        char **v = xcalloc(1, sizeof(char *));

        while (*s) {
                size_t n = strcspn(s, separators);
                if (n > 0)
                        strv_push(&v, xstrndup(s, n));
                s += n + (s[n] != '\0');
        }
        return v;
}

char *strv_join(char *const *v, const char *separator)
{
        autobuf struct buf b = {0};

        for (size_t i = 0; v && v[i]; i++)
                buf_printf(&b, "%s%s", i ? separator : "", v[i]);
        return buf_take_string(&b);
}

void strv_free(char **v)
{
        for (size_t i = 0; v && v[i]; i++)
                free(v[i]);
        free(v);
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
        if (b->allocated - b->end >= n && b->data)
                return b->data + b->end;
        if (b->data && b->start > 0) {
                memmove(b->data, b->data + b->start, b->end - b->start);
                b->end -= b->start;
                b->start = 0;
        }
        if (b->allocated - b->end < n || !b->data) {
                b->allocated = MAX(b->allocated * 2, b->end + n + 64);
                b->data = xrealloc(b->data, b->allocated, 1);
        }
        return b->data + b->end;
}

void buf_commit(struct buf *b, size_t n)
{
        b->end += n;
}

void buf_append(struct buf *b, const void *data, size_t n)
{
        if (n == 0)
                return;
        memcpy(buf_reserve(b, n), data, n);
        b->end += n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
        va_list ap;
        autofree char *s = NULL;

        va_start(ap, fmt);
        s = xvasprintf(fmt, ap);
        va_end(ap);
        buf_append(b, s, strlen(s));
}

void buf_consume(struct buf *b, size_t n)
{
        b->start += n;
        if (b->start == b->end)
                b->start = b->end = 0;
}

void buf_done(struct buf *b)
{
        free(b->data);
        *b = (struct buf){0};
}

char *buf_take_string(struct buf *b)
{
        char *s = xcalloc(buf_size(b) + 1, 1);

        if (buf_size(b) > 0)
                memcpy(s, buf_head(b), buf_size(b));
        buf_done(b);
        return s;
}

uint64_t now_ms(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void random_bytes(void *buf, size_t n)
{
        uint8_t *p = buf;

        while (n > 0) {
                ssize_t r = getrandom(p, n, 0);
                if (r < 0 && errno != EINTR)
                        abort();
                if (r > 0) {
                        p += r;
                        n -= (size_t)r;
                }
        }
}
