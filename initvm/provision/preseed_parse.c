/* SPDX-License-Identifier: MIT */
/*
 * Reads a preseed file: bytes to entries, in three steps.
 *
 * check_text() refuses what is no text, once, so that the rest need not look at single bytes.  read_entry() joins physical lines
 * to a logical one, twice: as debconf-set-selections(1) does (`plain`: the backslash goes, all else stays) and as the installer
 * does (`folded`: the blanks around the break become one space).  add_entry() splits both into words and refuses the line
 * unless owner, question and type come out the same: only then does the file mean one thing.
 */
#include "provision/preseed.h"

#include "base/file.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

/* How much of the user's line a message quotes. */
#define EXCERPT_MAX 60

/* In the order of enum preseed_type. */
static const char *const type_names[_PRESEED_TYPE_MAX] = {
        "boolean", "error", "multiselect", "note", "password", "select", "string", "text", "title", "seen",
};

struct slice {
        const char *text;
        size_t n;
};

struct reader {
        struct preseed *preseed;
        size_t allocated;    /* of preseed->entries */
        struct slice rest;   /* not yet read */
        unsigned line;       /* of the physical line that was read last, from 1 */
        unsigned loose_line; /* the last one where blanks follow the backslash, so that it does not continue; 0 for none */
        struct buf plain;
        struct buf folded;
        struct error *err;
};

const char *preseed_type_name(enum preseed_type type)
{
        return type_names[type];
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static struct slice skip_blanks(struct slice s)
{
        while (s.n > 0 && is_blank(*s.text)) {
                s.text++;
                s.n--;
        }
        return s;
}

static struct slice trim(struct slice s)
{
        s = skip_blanks(s);
        while (s.n > 0 && is_blank(s.text[s.n - 1]))
                s.n--;
        return s;
}

/* The next word, and what follows it into *rest; empty when there is none. */
static struct slice take_word(struct slice *rest)
{
        struct slice word = skip_blanks(*rest);
        size_t n = 0;

        while (n < word.n && !is_blank(word.text[n]))
                n++;
        rest->text = word.text + n;
        rest->n = word.n - n;
        word.n = n;
        return word;
}

static bool slice_equal(struct slice a, struct slice b)
{
        return a.n == b.n && memcmp(a.text, b.text, a.n) == 0;
}

/* What a message shows of the user's text: its beginning, not cut within a character. */
static char *excerpt(struct slice s)
{
        size_t n = s.n;

        if (n <= EXCERPT_MAX)
                return xstrndup(s.text, n);
        for (n = EXCERPT_MAX; ((unsigned char)s.text[n] & 0xc0) == 0x80;)
                n--;
        return xasprintf("%.*s...", (int)n, s.text);
}

static int refuse(const struct reader *r, unsigned line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(const struct reader *r, unsigned line, const char *fmt, ...)
{
        autofree char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        return error_set(r->err, ERR_INVALID, "%s:%u: %s", r->preseed->filename, line, text);
}

/* The length of the UTF-8 sequence at s (RFC 3629: shortest form, no surrogates, up to U+10FFFF) with its code point; 0 when
 * there is none. */
static size_t utf8_decode(const unsigned char *s, size_t n, uint32_t *ret)
{
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;
        uint32_t c = length == 1 ? s[0] : s[0] & (0xffu >> (length + 1));

        if (length == 0 || length > n)
                return 0;
        for (size_t i = 1; i < length; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (s[i] & 0x3f);
        }
        if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        *ret = c;
        return length;
}

static int check_text(const struct reader *r)
{
        const unsigned char *s = (const unsigned char *)r->rest.text;
        size_t n = r->rest.n;
        unsigned line = 1;
        uint32_t c;

        for (size_t i = 0, length; i < n; i += length) {
                length = utf8_decode(s + i, n - i, &c);
                if (length == 0)
                        return refuse(r, line, "byte 0x%02x is not UTF-8: convert the file to UTF-8", s[i]);
                if (c == 0)
                        return refuse(r, line, "a NUL byte: this is not a text file");
                if (c == 0xfeff) /* nobody sees it, and it would become a part of a word */
                        return refuse(r, line, "a byte order mark: save the file as UTF-8 without one");
                if (c == '\r' && (i + 1 == n || s[i + 1] == '\n'))
                        continue;
                if (c != '\n' && c != '\t' && (c < 0x20 || (c >= 0x7f && c <= 0x9f)))
                        return refuse(r, line, "control character 0x%02x: only tabs are allowed", c);
                line += c == '\n';
        }
        return 0;
}

/* One physical line without its end; whether it continues, and then without the backslash. False at the end of the file. */
static bool next_line(struct reader *r, struct slice *ret, bool *ret_continues)
{
        struct slice s = r->rest, trimmed;
        const char *end;

        if (s.n == 0)
                return false;
        end = memchr(s.text, '\n', s.n);
        if (end)
                s.n = (size_t)(end - s.text);
        r->rest.text += s.n + (end != NULL);
        r->rest.n -= s.n + (end != NULL);
        r->line++;
        if (s.n > 0 && s.text[s.n - 1] == '\r')
                s.n--;
        *ret_continues = s.n > 0 && s.text[s.n - 1] == '\\';
        if (*ret_continues)
                s.n--;
        trimmed = trim(s);
        if (!*ret_continues && trimmed.n > 0 && trimmed.text[trimmed.n - 1] == '\\')
                r->loose_line = r->line;
        *ret = s;
        return true;
}

/* Splits a logical line; true when it has all three words. *ret_value is what follows the type, blanks included. */
static bool split(struct slice s, struct slice words[3], struct slice *ret_value)
{
        for (size_t i = 0; i < 3; i++)
                words[i] = take_word(&s);
        *ret_value = s;
        return words[2].n > 0;
}

static struct slice buf_slice(const struct buf *b)
{
        return (struct slice){buf_size(b) > 0 ? (const char *)buf_head(b) : "", buf_size(b)};
}

/* A common slip: the answer above ends in a backslash and a blank, so that its second half stands alone. Owned, for the end of a
 * message about that half. */
static char *loose_hint(const struct reader *r, unsigned line)
{
        if (r->loose_line == 0 || r->loose_line != line - 1)
                return xstrdup("");
        return xasprintf(" (if line %u was to go on here: remove the blanks after its backslash)", r->loose_line);
}

static int parse_type(const struct reader *r, unsigned line, struct slice word, enum preseed_type *ret)
{
        autofree char *shown = NULL, *hint = loose_hint(r, line);

        for (size_t i = 0; i < _PRESEED_TYPE_MAX; i++)
                if (slice_equal(word, (struct slice){type_names[i], strlen(type_names[i])})) {
                        *ret = (enum preseed_type)i;
                        return 0;
                }
        shown = excerpt(word);
        return refuse(r, line,
                      "unknown type '%s': after owner and question comes one of string, boolean, select, multiselect, "
                      "password, note, text, title, error or seen%s",
                      shown, hint);
}

static int refuse_incomplete(const struct reader *r, unsigned line, struct slice text)
{
        autofree char *shown = excerpt(trim(text)), *hint = loose_hint(r, line);

        return refuse(r, line, "'%s' is not an answer: write OWNER QUESTION TYPE VALUE, as in 'd-i time/zone string Etc/UTC'%s",
                      shown, hint);
}

/* Turns the logical line in r->plain and r->folded, which began at `line`, into an entry. */
static int add_entry(struct reader *r, unsigned line)
{
        struct slice plain[3], folded[3], plain_value, folded_value, value;
        struct preseed *p = r->preseed;
        enum preseed_type type = PRESEED_STRING;

        if (!split(buf_slice(&r->plain), plain, &plain_value) || !split(buf_slice(&r->folded), folded, &folded_value))
                return refuse_incomplete(r, line, buf_slice(&r->folded));
        for (size_t i = 0; i < 3; i++)
                if (!slice_equal(plain[i], folded[i])) {
                        autofree char *shown = excerpt(plain[i]);
                        return refuse(r, line, "the line's end breaks '%s': put a blank before the backslash", shown);
                }
        if (*plain[0].text == '#')
                return refuse(r, line, "a comment after a lone backslash: remove line %u", line);
        if (parse_type(r, line, plain[2], &type) < 0)
                return -1;
        if (p->n_entries == PRESEED_ENTRIES_MAX)
                return refuse(r, line, "more than %d answers: no preseed file has so many", PRESEED_ENTRIES_MAX);
        if (p->n_entries == r->allocated) {
                r->allocated = MAX(r->allocated * 2, (size_t)64);
                p->entries = xrealloc(p->entries, r->allocated, sizeof(*p->entries));
        }
        if (slice_equal(plain[0], (struct slice){PRESEED_INSTALLER, strlen(PRESEED_INSTALLER)}))
                value = trim(folded_value);
        else if (plain_value.n > 0)
                value = (struct slice){plain_value.text + 1, plain_value.n - 1}; /* the one blank that separates */
        else
                value = plain_value;
        p->entries[p->n_entries++] = (struct preseed_entry){
                .owner = xstrndup(plain[0].text, plain[0].n),
                .question = xstrndup(plain[1].text, plain[1].n),
                .type = type,
                .value = xstrndup(value.text, value.n),
                .line = line,
        };
        return 0;
}

/* Appends a physical line to both forms of the logical one. */
static int append_line(struct reader *r, unsigned first, struct slice s, bool continues)
{
        struct slice t = continues ? trim(s) : skip_blanks(s);

        if (buf_size(&r->plain) + s.n > PRESEED_LINE_MAX)
                return refuse(r, first, "the line has more than %d bytes, its continuations included", PRESEED_LINE_MAX);
        buf_append(&r->plain, s.text, s.n);
        if (buf_size(&r->folded) > 0)
                buf_append(&r->folded, " ", 1);
        buf_append(&r->folded, t.text, t.n);
        return 0;
}

/* A comment's backslash makes debconf-set-selections(1) take the next line for a part of it, and not the installer. (A second
 * backslash reaches over an empty line to the one after it.) `comment` has lost its backslash already. */
static int check_comment(const struct reader *r, struct slice comment)
{
        struct reader peek = *r;
        struct slice s;
        bool continues, reaches_on = comment.text[comment.n - 1] == '\\';

        if (!next_line(&peek, &s, &continues))
                return 0;
        s = skip_blanks(s);
        if ((s.n == 0 && !continues && !reaches_on) || (s.n > 0 && *s.text == '#'))
                return 0;
        return refuse(r, r->line,
                      "this comment ends in a backslash, so that it is unclear whether the next line belongs to it: "
                      "remove the backslash, or put '#' before the next line too");
}

/* Reads one logical line: an entry, or a comment or an empty line, which are skipped. 0 at the end of the file, 1 otherwise. */
static int read_entry(struct reader *r)
{
        struct slice s;
        bool continues;
        unsigned first;

        if (!next_line(r, &s, &continues))
                return 0;
        first = r->line;
        if (!continues && skip_blanks(s).n == 0)
                return 1;
        if (skip_blanks(s).n > 0 && *skip_blanks(s).text == '#')
                return continues && check_comment(r, s) < 0 ? -1 : 1;

        buf_consume(&r->plain, buf_size(&r->plain));
        buf_consume(&r->folded, buf_size(&r->folded));
        if (append_line(r, first, s, continues) < 0)
                return -1;
        while (continues) {
                if (!next_line(r, &s, &continues))
                        return refuse(r, r->line, "the file ends in a backslash: remove it, or add what is missing");
                if (skip_blanks(s).n == 0 && !continues)
                        return refuse(r, r->line, "an empty line after a backslash: remove line %u's backslash, or this line",
                                      r->line - 1);
                if (s.n > 0 && *s.text == '#')
                        return refuse(r, r->line, "a comment within an answer that goes on: move it above line %u", first);
                if (append_line(r, first, s, continues) < 0)
                        return -1;
        }
        return add_entry(r, first) < 0 ? -1 : 1;
}

struct preseed *preseed_parse(const char *filename, const void *data, size_t n, struct error *err)
{
        autopreseed struct preseed *p = xcalloc(1, sizeof(*p));
        struct reader r = {.preseed = p, .rest = {data, n}, .err = err};
        int status;

        p->filename = xstrdup(filename);
        if (n > PRESEED_FILE_MAX) {
                error_set(err, ERR_INVALID, "%s: larger than %s: this is not a preseed file", filename,
                          format_size(PRESEED_FILE_MAX));
                return NULL;
        }
        status = check_text(&r);
        if (status == 0)
                while ((status = read_entry(&r)) > 0)
                        ;
        buf_done(&r.plain);
        buf_done(&r.folded);
        return status < 0 ? NULL : take_ptr(p);
}

struct preseed *preseed_load(const char *path, struct error *err)
{
        size_t n = 0;
        autofree char *text = file_read(path, PRESEED_FILE_MAX, &n, err);

        return text ? preseed_parse(path, text, n, err) : NULL;
}
