/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a preseed file.  Checked beside memory safety: what is accepted is clean text in order; line ends may be CR LF
 * without a difference; every look-up agrees with the entries; what is written for debconf reads back as it was; what is
 * refused names a line.
 */
#include "provision/preseed.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
        if (!holds)
                abort();
}

static bool clean(const char *s, bool with_blanks)
{
        for (; *s; s++)
                if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f || (!with_blanks && (*s == ' ' || *s == '\t')))
                        return false;
        return true;
}

static bool installers(const struct preseed_entry *e)
{
        return streq(e->owner, PRESEED_INSTALLER);
}

static void check_entries(const struct preseed *p)
{
        unsigned line = 0;

        require(p->n_entries <= PRESEED_ENTRIES_MAX);
        for (size_t i = 0; i < p->n_entries; i++) {
                const struct preseed_entry *e = &p->entries[i];
                size_t n = strlen(e->value);

                require(*e->owner && *e->owner != '#' && clean(e->owner, false));
                require(*e->question && clean(e->question, false));
                require(clean(e->value, true) && n <= PRESEED_LINE_MAX * 2);
                require(installers(e) || n == 0 || e->value[n - 1] != '\\');
                require(e->type < _PRESEED_TYPE_MAX && preseed_type_name(e->type));
                require(e->line > line && !e->used);
                line = e->line;
        }
}

static void check_same(const struct preseed_entry *a, const struct preseed_entry *b)
{
        require(streq(a->owner, b->owner) && streq(a->question, b->question) && streq(a->value, b->value) && a->type == b->type);
}

static void check_lookups(struct preseed *p)
{
        for (size_t i = 0; i < p->n_entries; i++) {
                const struct preseed_entry *e = &p->entries[i];
                const struct preseed_entry *last = preseed_find(p, e->owner, e->question);
                struct error err = ERROR_INIT;
                autostrv char **list = NULL, **words = NULL;
                uint64_t number = 0;
                bool flag = false;
                int status;

                require(e->type == PRESEED_SEEN || (last && last >= e && last->type != PRESEED_SEEN));
                last = preseed_find(p, NULL, e->question);
                require(preseed_string(p, e->question) == (last ? last->value : NULL));
                status = preseed_bool(p, e->question, &flag, &err);
                require(status == -1 ? err.code == ERR_INVALID : status == (last != NULL));
                status = preseed_u64(p, e->question, 1, 1000, &number, NULL);
                require(status != 1 || (number >= 1 && number <= 1000));
                preseed_list(p, e->question, &list, NULL);
                preseed_words(p, e->question, &words, NULL);
                for (char **s = words; s && *s; s++)
                        require(**s && !strpbrk(*s, " \t,"));
                require(!last || e->used);
        }
        for (const struct preseed_entry *e = NULL; (e = preseed_next_unused(p, e));)
                require(installers(e) && e->type == PRESEED_SEEN && preseed_mark(p, e->question, true));
        require(!preseed_next_unused(p, NULL));
}

static void check_selections(const struct preseed *p)
{
        autofree char *text = preseed_selections(p);
        autopreseed struct preseed *again = preseed_parse("again", text, strlen(text), NULL);
        size_t k = 0;

        require(again != NULL);
        for (size_t i = 0; i < p->n_entries; i++)
                if (!installers(&p->entries[i])) {
                        require(k < again->n_entries);
                        check_same(&p->entries[i], &again->entries[k++]);
                }
        require(k == again->n_entries);
}

/* Text without CR means the same with CR LF. */
static void check_line_ends(const struct preseed *p, const uint8_t *data, size_t size)
{
        autobuf struct buf b = {0};
        autopreseed struct preseed *other = NULL;

        for (size_t i = 0; i < size; i++) {
                if (data[i] == '\r')
                        return;
                buf_append(&b, data[i] == '\n' ? "\r\n" : (const char *)&data[i], data[i] == '\n' ? 2 : 1);
        }
        other = preseed_parse("crlf", buf_head(&b), buf_size(&b), NULL);
        require(!p == !other);
        require(!p || p->n_entries == other->n_entries);
        for (size_t i = 0; p && i < p->n_entries; i++) {
                check_same(&p->entries[i], &other->entries[i]);
                require(p->entries[i].line == other->entries[i].line);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct error err = ERROR_INIT;
        autopreseed struct preseed *p = preseed_parse("f", data, size, &err);

        if (!p) {
                require(err.code == ERR_INVALID && str_has_prefix(err.message, "f:"));
                require(size > PRESEED_FILE_MAX || (err.message[2] >= '1' && err.message[2] <= '9'));
        } else {
                check_entries(p);
                check_selections(p);
        }
        if (size < PRESEED_FILE_MAX / 2)
                check_line_ends(p, data, size);
        if (p && p->n_entries <= 100) /* look-ups go through all entries: keep it fast */
                check_lookups(p);
        return 0;
}
