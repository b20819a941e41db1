/* SPDX-License-Identifier: MIT */
/* Words and figures for people. Nothing here does input or output. */
#pragma once

#include "base/util.h"

/* How many letters differ: insertions, deletions, replacements and swapped neighbours count one each. */
unsigned text_distance(const char *a, const char *b);

/* The candidate that `word` was probably meant to be; NULL when none is near. */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

/* "45 s", "12 min", "3 h 5 min", "2 d 4 h". Owned. */
char *text_duration(uint64_t ms);

/* Appends text with its control characters (all but tab, and newline where `lines`) as '?': what a guest or a build wrote
 * must not move the user's cursor. */
void text_append_safe(struct buf *out, const char *text, bool lines);

/* How many columns the text takes: its UTF-8 characters. */
size_t text_width(const char *text);

/* Appends at most `width` columns of the text; when it is cut, the last one is an ellipsis. */
void text_append_cut(struct buf *out, const char *text, size_t width);

/* Appends the words of `text` in lines of at most `width` columns, each after `indent` spaces; "\n" starts a new line. */
void text_append_wrapped(struct buf *out, const char *text, size_t indent, size_t width);
