/* SPDX-License-Identifier: MIT */
/*
 * What a parsed preseed file answers: look-ups by question, what of it was honoured, and the packages' share of it.  The entries
 * keep the file's order and never change after parsing but for their `used` mark.  Look-ups go through all entries: files
 * have some dozens, and each question is asked once.
 */
#include "provision/preseed.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

#define BLANKS " \t"

void preseed_free(struct preseed *p)
{
        if (!p)
                return;
        for (size_t i = 0; i < p->n_entries; i++) {
                free(p->entries[i].owner);
                free(p->entries[i].question);
                free(p->entries[i].value);
        }
        free(p->entries);
        free(p->filename);
        free(p);
}

const struct preseed_entry *preseed_find(const struct preseed *p, const char *owner, const char *question)
{
        for (size_t i = p->n_entries; i-- > 0;) {
                const struct preseed_entry *e = &p->entries[i];
                if (e->type != PRESEED_SEEN && streq(e->question, question) && (!owner || streq(e->owner, owner)))
                        return e;
        }
        return NULL;
}

bool preseed_mark(struct preseed *p, const char *question, bool used)
{
        bool found = false;

        for (size_t i = 0; i < p->n_entries; i++)
                if (streq(p->entries[i].question, question)) {
                        p->entries[i].used = used;
                        found = true;
                }
        return found;
}

const struct preseed_entry *preseed_next_unused(const struct preseed *p, const struct preseed_entry *previous)
{
        for (size_t i = previous ? (size_t)(previous - p->entries) + 1 : 0; i < p->n_entries; i++)
                if (!p->entries[i].used && streq(p->entries[i].owner, PRESEED_INSTALLER))
                        return &p->entries[i];
        return NULL;
}

int preseed_invalid(const struct preseed *p, const struct preseed_entry *e, struct error *err, const char *fmt, ...)
{
        autofree char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        return error_set(err, ERR_INVALID, "%s:%u: '%s': %s", p->filename, e->line, e->question, text);
}

/* The answer that counts, with the question marked as used. */
static const struct preseed_entry *use(struct preseed *p, const char *question)
{
        const struct preseed_entry *e = preseed_find(p, NULL, question);

        if (e)
                preseed_mark(p, question, true);
        return e;
}

/* The value without the blanks around it, owned: packages' values have them to the byte. */
static char *trimmed(const struct preseed_entry *e)
{
        const char *start = e->value + strspn(e->value, BLANKS);
        size_t n = strlen(start);

        while (n > 0 && strchr(BLANKS, start[n - 1]))
                n--;
        return xstrndup(start, n);
}

int preseed_bool(struct preseed *p, const char *question, bool *ret, struct error *err)
{
        const struct preseed_entry *e = use(p, question);
        autofree char *value = NULL;

        if (!e)
                return 0;
        value = trimmed(e);
        if (!streq(value, "true") && !streq(value, "false"))
                return preseed_invalid(p, e, err, "'%s' is neither 'true' nor 'false'", value);
        *ret = streq(value, "true");
        return 1;
}

int preseed_u64(struct preseed *p, const char *question, uint64_t min, uint64_t max, uint64_t *ret, struct error *err)
{
        const struct preseed_entry *e = use(p, question);
        autofree char *value = NULL;

        if (!e)
                return 0;
        value = trimmed(e);
        if (parse_u64(value, min, max, ret) < 0)
                return preseed_invalid(p, e, err, "'%s' is not a whole number from %llu to %llu", value, (unsigned long long)min,
                                       (unsigned long long)max);
        return 1;
}

const char *preseed_string(struct preseed *p, const char *question)
{
        const struct preseed_entry *e = use(p, question);

        return e ? e->value : NULL;
}

/* One item up to a separator, without the blanks around it, owned; *s moves behind the separator. */
static char *take_item(const char **s, const char *separators, bool escapes)
{
        autobuf struct buf item = {0};
        size_t kept = 0; /* up to the last character that is no blank, or an escaped one */

        *s += strspn(*s, BLANKS);
        while (**s && !strchr(separators, **s)) {
                bool escaped = escapes && **s == '\\' && ((*s)[1] == ',' || (*s)[1] == ' ');

                *s += escaped;
                buf_append(&item, (*s)++, 1);
                if (escaped || !strchr(BLANKS, (*s)[-1]))
                        kept = buf_size(&item);
        }
        *s += **s != '\0';
        return kept > 0 ? xstrndup((const char *)buf_head(&item), kept) : xstrdup("");
}

static int take_items(struct preseed *p, const char *question, const char *separators, bool escapes, char ***ret,
                      struct error *err)
{
        const struct preseed_entry *e = use(p, question);
        autostrv char **items = NULL;
        size_t n = 0;

        if (!e)
                return 0;
        for (const char *s = e->value; *s;) {
                autofree char *item = take_item(&s, separators, escapes);

                if (!*item)
                        continue;
                if (n++ == PRESEED_ITEMS_MAX)
                        return preseed_invalid(p, e, err, "more than %d items: shorten the list", PRESEED_ITEMS_MAX);
                strv_push(&items, take_ptr(item));
        }
        *ret = take_ptr(items);
        return 1;
}

int preseed_list(struct preseed *p, const char *question, char ***ret, struct error *err)
{
        return take_items(p, question, ",", true, ret, err);
}

int preseed_words(struct preseed *p, const char *question, char ***ret, struct error *err)
{
        return take_items(p, question, BLANKS ",", false, ret, err);
}

char *preseed_selections(const struct preseed *p)
{
        autobuf struct buf b = {0};

        for (size_t i = 0; i < p->n_entries; i++) {
                const struct preseed_entry *e = &p->entries[i];

                if (streq(e->owner, PRESEED_INSTALLER))
                        continue;
                buf_printf(&b, "%s %s %s%s%s\n", e->owner, e->question, preseed_type_name(e->type), *e->value ? " " : "",
                           e->value);
        }
        return buf_take_string(&b);
}
