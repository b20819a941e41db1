/* SPDX-License-Identifier: MIT */
/*
 * The few things every file needs: ownership by cleanup attributes, allocation that never returns NULL (out of memory
 * aborts: no caller could do anything sensible), string vectors, a growable byte buffer, clocks.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

/* Ownership: `autofree char *s`, `autoclose int fd = -1`, `autofclose FILE *f`, `autostrv char **v`. */
#define autofree   __attribute__((cleanup(cleanup_free)))
#define autoclose  __attribute__((cleanup(cleanup_close)))
#define autofclose __attribute__((cleanup(cleanup_fclose)))
#define autostrv   __attribute__((cleanup(cleanup_strv)))
void cleanup_free(void *p);
void cleanup_close(int *fd);
void cleanup_fclose(FILE **f);
void cleanup_strv(char ***v);

/* Hands over what a cleanup attribute would release: returns the value and leaves NULL (-1) behind. */
#define take_ptr(p)                                                                                                              \
        ({                                                                                                                       \
                typeof(p) take_ptr_tmp = (p);                                                                                    \
                (p) = NULL;                                                                                                      \
                take_ptr_tmp;                                                                                                    \
        })
static inline int take_fd(int *fd)
{
        int tmp = *fd;
        *fd = -1;
        return tmp;
}

void *xcalloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *xrealloc(void *p, size_t n, size_t size) __attribute__((alloc_size(2, 3), returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull, nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull, nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0), malloc, returns_nonnull));

static inline bool streq(const char *a, const char *b)
{
        return a && b && __builtin_strcmp(a, b) == 0;
}
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);

/* Parses a whole decimal number in [min, max]; -1 (errno untouched, *ret untouched) when it is anything else. */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/* Parses a size with an optional binary suffix K, M, G or T ("64G"): bytes into *ret; -1 when it is not one. */
int parse_size(const char *s, uint64_t *ret);

/* "64 GiB", "1.2 GiB", "370 MiB": for people.  Static per thread, overwritten by the next call but four. */
const char *format_size(uint64_t bytes);

/* Bytes of the UTF-8 character (RFC 3629: shortest form, no surrogates, up to U+10FFFF) that the n > 0 bytes at s begin with; 0
 * when there is none. */
size_t utf8_length(const char *s, size_t n);

/* A VM's name: 1 to 32 of [a-z A-Z 0-9 . _ -], starting with a letter or digit.  It becomes a folder's name, a libvirt
 * domain's name and a part of socket paths, hence the limit. */
#define VM_NAME_MAX 32
bool vm_name_valid(const char *name);

/* NULL-terminated vectors of owned strings. A NULL vector is empty. */
size_t strv_length(char *const *v);
void strv_push(char ***v, char *owned);  /* takes `owned` */
void strv_add(char ***v, const char *s); /* copies */
void strv_addf(char ***v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool strv_contains(char *const *v, const char *s);
char **strv_split(const char *s, const char *separators); /* empty fields are dropped; never NULL */
char *strv_join(char *const *v, const char *separator);   /* never NULL */
void strv_free(char **v);

/* A byte buffer that grows at the end and is consumed at the front. Zero-initialised is valid and empty. */
struct buf {
        uint8_t *data; /* the first unconsumed byte is data[start] */
        size_t start;
        size_t end;
        size_t allocated;
};
static inline size_t buf_size(const struct buf *b)
{
        return b->end - b->start;
}
static inline uint8_t *buf_head(const struct buf *b)
{
        return b->data ? b->data + b->start : NULL;
}
uint8_t *buf_reserve(struct buf *b, size_t n); /* room for n more bytes; returns where they go */
void buf_commit(struct buf *b, size_t n);      /* n bytes were written there */
void buf_append(struct buf *b, const void *data, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_consume(struct buf *b, size_t n);
void buf_done(struct buf *b);
/* The content as an owned NUL-terminated string; the buffer is empty afterwards. */
char *buf_take_string(struct buf *b);
#define autobuf __attribute__((cleanup(buf_done)))

/* Monotonic milliseconds (CLOCK_BOOTTIME: goes on while the host sleeps). */
uint64_t now_ms(void);

/* Fills buf with random bytes from getrandom(2). */
void random_bytes(void *buf, size_t n);
