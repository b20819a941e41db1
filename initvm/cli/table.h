/* SPDX-License-Identifier: MIT */
/* A table for people: columns as wide as their widest cell, two spaces between, none at the end of a line. */
#pragma once

#include "base/util.h"

struct table {
        size_t n_columns;
        char **cells;        /* row by row, the heading first */
        const char **styles; /* per cell: a terminal sequence put around its text, or NULL */
        size_t n_cells;
};

/* headings: NULL-terminated. */
void table_init(struct table *t, const char *const *headings);
void table_done(struct table *t);

/* Adds the next cell, row by row; NULL or "" shows as "-". `style` is borrowed and may be NULL. */
void table_add(struct table *t, const char *text, const char *style);
void table_addf(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void table_render(const struct table *t, struct buf *out);

/* A line of what describes one thing: the label, and in a column of its own the value, with its control characters as '?'.
 * Nothing when there is no value. */
void table_print_pair(const char *label, const char *value);
