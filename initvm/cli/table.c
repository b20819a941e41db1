/* SPDX-License-Identifier: MIT */
#include "cli/table.h"

#include "cli/terminal.h"
#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>

#define GAP          2
#define LABEL_COLUMN 14

void table_init(struct table *t, const char *const *headings)
{
        *t = (struct table){0};
        for (; headings[t->n_columns]; t->n_columns++)
                table_add(t, headings[t->n_columns], NULL);
}

void table_done(struct table *t)
{
        for (size_t i = 0; i < t->n_cells; i++)
                free(t->cells[i]);
        free(t->cells);
        free(t->styles);
        *t = (struct table){0};
}

void table_add(struct table *t, const char *text, const char *style)
{
        autobuf struct buf safe = {0};

        text_append_safe(&safe, text && *text ? text : "-", false);
        t->cells = xrealloc(t->cells, t->n_cells + 1, sizeof(*t->cells));
        t->styles = xrealloc(t->styles, t->n_cells + 1, sizeof(*t->styles));
        t->cells[t->n_cells] = buf_take_string(&safe);
        t->styles[t->n_cells++] = style;
}

void table_addf(struct table *t, const char *fmt, ...)
{
        autofree char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        table_add(t, text, NULL);
}

static size_t column_width(const struct table *t, size_t column)
{
        size_t width = 0;

        for (size_t i = column; i < t->n_cells; i += t->n_columns)
                width = MAX(width, text_width(t->cells[i]));
        return width;
}

void table_render(const struct table *t, struct buf *out)
{
        for (size_t i = 0; i < t->n_cells; i++) {
                size_t column = i % t->n_columns;
                bool last = column + 1 == t->n_columns || i + 1 == t->n_cells;
                const char *style = t->styles[i];

                buf_printf(out, "%s%s%s", style ? style : "", t->cells[i], style && *style ? STYLE_RESET : "");
                if (last)
                        buf_append(out, "\n", 1);
                else
                        buf_printf(out, "%*s", (int)(column_width(t, column) - text_width(t->cells[i]) + GAP), "");
        }
}

void table_print_pair(const char *label, const char *value)
{
        autobuf struct buf safe = {0};
        autofree char *text = NULL;

        if (!value || !*value)
                return;
        text_append_safe(&safe, value, false);
        text = buf_take_string(&safe);
        printf("%-*s%s\n", LABEL_COLUMN, label, text);
}
