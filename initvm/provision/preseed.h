/* SPDX-License-Identifier: MIT */
/*
 * The debconf preseed format, one answer per logical line:
 *
 *      OWNER QUESTION TYPE VALUE
 *
 * It has two readers: debconf-set-selections(1), for packages' answers, and the installer's own reader (preseed-common's
 * /bin/debconf-set-selections, described in appendix B of the installation guide).  They differ in details, and one file has
 * to mean the same to both, so:
 *
 * - A backslash at a line's end joins it with the next one.  For the installer's answers (owner "d-i") the blanks around the
 *   break become one space, and those around the value are dropped; all other values are kept to the byte, where exactly one
 *   blank after the type belongs to no value.
 * - What one reader takes for an answer and the other does not is refused: a continued line with nothing after it, or with an
 *   empty line or a comment in it; a comment that continues into an answer; a word broken by a line's end.
 * - Everything else that both would only skip with a warning or store as it stands is refused too: an unknown type, NUL and
 *   other control characters, bytes that are not UTF-8.  CR before a line's end is dropped.
 * - A comment may be indented, as for debconf.  The installer knows only those that begin in the first column: an indented one is
 *   an answer to it that nobody asks for, or a syntax error when it has fewer than three words.
 *
 * Bytes in, entries out: nothing here touches the world but preseed_load().  Every entry remembers its line, so that whoever
 * cannot honour it can name it.  Messages begin with "FILE:LINE: ".
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A preseed file is written by people: more than this is not one (a disk image given by mistake). */
#define PRESEED_FILE_MAX (1024 * 1024)

/* One logical line, continuations joined. A long late_command has some thousand bytes. */
#define PRESEED_LINE_MAX (64 * 1024)

/* Entries of one file. All of a desktop's debconf database has around 3,000. */
#define PRESEED_ENTRIES_MAX 10000

/* Items of one list. Even a whole desktop, package by package, has half as many. */
#define PRESEED_ITEMS_MAX 4096

/* The owner of what the installer itself asks; all other owners are packages. */
#define PRESEED_INSTALLER "d-i"

enum preseed_type {
        PRESEED_BOOLEAN,
        PRESEED_ERROR, /* cdebconf's; debconf-set-selections(1) warns and skips it */
        PRESEED_MULTISELECT,
        PRESEED_NOTE,
        PRESEED_PASSWORD,
        PRESEED_SELECT,
        PRESEED_STRING,
        PRESEED_TEXT,
        PRESEED_TITLE,
        PRESEED_SEEN, /* not an answer: the question's seen flag */
        _PRESEED_TYPE_MAX,
};

struct preseed_entry {
        char *owner;
        char *question;
        enum preseed_type type;
        char *value;   /* "" when there is none; UTF-8 without line breaks and control characters, but tabs */
        unsigned line; /* where it starts, from 1 */
        bool used;     /* honoured by us; see preseed_mark() */
};

struct preseed {
        char *filename;                /* as the caller named it, for messages */
        struct preseed_entry *entries; /* in the file's order, superseded ones included */
        size_t n_entries;
};

/* Parses a whole file; `filename` is for messages only. NULL on failure; nothing is skipped. */
struct preseed *preseed_parse(const char *filename, const void *data, size_t n, struct error *err);

/* Reads the file and parses it. */
struct preseed *preseed_load(const char *path, struct error *err);

void preseed_free(struct preseed *p); /* NULL is fine */
static inline void cleanup_preseed(struct preseed **p)
{
        preseed_free(*p);
}
#define autopreseed __attribute__((cleanup(cleanup_preseed)))

/* "boolean", "seen". */
const char *preseed_type_name(enum preseed_type type);

/* The answer that counts (the last one; `seen` lines are none) of `owner`, or of any owner when that is NULL: the installer
 * does not look at owners. NULL when there is none. It is not marked as used. */
const struct preseed_entry *preseed_find(const struct preseed *p, const char *owner, const char *question);

/* Says whether the question is honoured: all its lines of any owner, superseded and `seen` ones too. Returns whether the file
 * has any. */
bool preseed_mark(struct preseed *p, const char *question, bool used);

/* The installer's entries (owner "d-i") that are not marked as used, in the file's order: pass NULL first, then what was
 * returned; NULL at the end. Packages' entries are not among them: they go to debconf, see preseed_selections(). */
const struct preseed_entry *preseed_next_unused(const struct preseed *p, const struct preseed_entry *previous);

/*
 * Typed look-ups, of any owner.  The question is marked as used as soon as the file has it; a caller that finds that it cannot
 * honour the value after all takes that back with preseed_mark() or fails with preseed_invalid().
 *
 * They return 1 with *ret filled; 0 when the file does not have the question, with *ret untouched (so set it to the default
 * before); -1 when the value is not of that kind.
 */
int preseed_bool(struct preseed *p, const char *question, bool *ret, struct error *err); /* true or false */
int preseed_u64(struct preseed *p, const char *question, uint64_t min, uint64_t max, uint64_t *ret, struct error *err);

/* The value, owned by p, or NULL when the file does not have the question. Cannot fail; "" is an answer. */
const char *preseed_string(struct preseed *p, const char *question);

/* Comma-separated (a multiselect; as in debconf, "\," and "\ " stand for the character in an item). Blanks around items and
 * empty items are dropped. *ret becomes an owned string vector, NULL when it is empty; a former value is not freed. Fails
 * when there are more than PRESEED_ITEMS_MAX. */
int preseed_list(struct preseed *p, const char *question, char ***ret, struct error *err);

/* The same for what blanks or commas separate (pkgsel/include, partman-auto/disk), without escapes. */
int preseed_words(struct preseed *p, const char *question, char ***ret, struct error *err);

/* Fills *err with "FILE:LINE: 'QUESTION': <text>", ERR_INVALID, and returns -1: for values that only the caller can judge. */
int preseed_invalid(const struct preseed *p, const struct preseed_entry *e, struct error *err, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

/* All entries of other owners than the installer, in the file's order, one per line, continuations joined: input for
 * debconf-set-selections(1). Owned; "" when there are none. */
char *preseed_selections(const struct preseed *p);
