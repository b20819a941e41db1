/* SPDX-License-Identifier: MIT */
#include "binfmt/entry.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

static int invalid(const char *name, const char *what, struct error *err)
{
        return error_set(err, ERR_INVALID, "the kernel's entry '%s' of binfmt_misc has %s", name, what);
}

/* Hexadecimal digits, as many as there are, two a byte. */
static int read_bytes(const char *digits, uint8_t **ret, size_t *ret_size)
{
        size_t n = strlen(digits);
        uint8_t *bytes;

        if (n == 0 || n % 2 != 0 || strspn(digits, "0123456789abcdefABCDEF") != n)
                return -1;
        bytes = xcalloc(n / 2, 1);
        for (size_t i = 0; i < n / 2; i++) {
                const char pair[] = {digits[2 * i], digits[2 * i + 1], '\0'};

                bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
        }
        free(*ret);
        *ret = bytes;
        *ret_size = n / 2;
        return 0;
}

/* What follows `word` in the line; NULL when it begins otherwise. */
static const char *after(const char *line, const char *word)
{
        return str_has_prefix(line, word) ? line + strlen(word) : NULL;
}

static int read_line(struct binfmt_entry *e, const char *line, size_t *mask_size, struct error *err)
{
        const char *value;

        if (streq(line, "enabled") || streq(line, "disabled")) {
                e->enabled = line[0] == 'e';
        } else if ((value = after(line, "interpreter "))) {
                free(e->interpreter);
                e->interpreter = xstrdup(value);
        } else if ((value = after(line, "flags: "))) {
                if (strlen(value) >= sizeof(e->flags))
                        return invalid(e->name, "flags that are not known here", err);
                memset(e->flags, 0, sizeof(e->flags));
                memcpy(e->flags, value, strlen(value));
        } else if ((value = after(line, "extension "))) {
                free(e->extension);
                e->extension = xstrdup(value);
        } else if ((value = after(line, "offset "))) {
                if (parse_u64(value, 0, BINFMT_LINE_MAX, &e->offset) < 0)
                        return invalid(e->name, "an offset that is no number", err);
        } else if ((value = after(line, "magic "))) {
                if (read_bytes(value, &e->magic, &e->size) < 0)
                        return invalid(e->name, "a magic that is not hexadecimal", err);
        } else if ((value = after(line, "mask "))) {
                if (read_bytes(value, &e->mask, mask_size) < 0)
                        return invalid(e->name, "a mask that is not hexadecimal", err);
        }
        return 0; /* a line that a newer kernel has is none of ours */
}

static int check(struct binfmt_entry *e, size_t mask_size, struct error *err)
{
        if (!e->interpreter || !e->interpreter[0])
                return invalid(e->name, "no interpreter", err);
        if (!e->extension == !e->magic)
                return invalid(e->name, "not one of a magic and an extension", err);
        if (e->magic && !e->mask) { /* the kernel shows none when all bits count */
                e->mask = xcalloc(e->size, 1);
                memset(e->mask, 0xff, e->size);
        } else if (e->mask && mask_size != e->size) {
                return invalid(e->name, "a mask that is not as long as its magic", err);
        }
        return 0;
}

int binfmt_entry_parse(const char *name, const char *text, struct binfmt_entry *ret, struct error *err)
{
        struct binfmt_entry e = {.name = xstrdup(name)};
        autostrv char **lines = strv_split(text, "\n");
        size_t mask_size = 0;
        int r = 0;

        for (char **line = lines; r == 0 && *line; line++)
                r = read_line(&e, *line, &mask_size, err);
        if (r < 0 || check(&e, mask_size, err) < 0) {
                binfmt_entry_done(&e);
                return -1;
        }
        *ret = e;
        return 0;
}

void binfmt_entry_done(struct binfmt_entry *e)
{
        free(e->name);
        free(e->interpreter);
        free(e->extension);
        free(e->magic);
        free(e->mask);
        *e = (struct binfmt_entry){0};
}

bool binfmt_entry_matches(const struct binfmt_entry *e, const char *name, const void *head, size_t n)
{
        const uint8_t *at = head;

        if (!e->enabled)
                return false;
        if (e->extension) {
                const char *dot = strrchr(name, '.');

                return dot && streq(dot + 1, e->extension + (e->extension[0] == '.'));
        }
        if (e->offset > n || e->size > n - e->offset)
                return false;
        for (size_t i = 0; i < e->size; i++)
                if ((at[e->offset + i] ^ e->magic[i]) & e->mask[i])
                        return false;
        return true;
}

bool binfmt_entry_good(const struct binfmt_entry *e)
{
        for (const char *flag = BINFMT_FLAGS; *flag; flag++)
                if (!strchr(e->flags, *flag))
                        return false;
        return e->enabled;
}

static void append_bytes(struct buf *b, const char *bytes, size_t n)
{
        for (size_t i = 0; i < n; i++)
                buf_printf(b, "\\x%02x", (unsigned)(uint8_t)bytes[i]);
}

char *binfmt_config(const struct architecture *a, const char *interpreter)
{
        struct buf b = {0};

        buf_printf(&b, ":qemu-%s:M::", a->qemu);
        append_bytes(&b, a->magic, a->size);
        buf_printf(&b, ":");
        append_bytes(&b, a->mask, a->size);
        buf_printf(&b, ":%s:%s\n", interpreter, BINFMT_FLAGS);
        return buf_take_string(&b);
}
