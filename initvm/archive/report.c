/* SPDX-License-Identifier: MIT */
#include "archive/report.h"

#include "base/file.h"
#include "wire/varlink.h"

#include <stdlib.h>
#include <string.h>

/* A line goes out in one piece. Who does not listen any more is not told. */
void report_object(int fd, struct json_object *owned)
{
        autofree char *line = xasprintf("%s\n", json_line(owned));

        fd_write_all(fd, line, strlen(line));
        json_object_put(owned);
}

void report_total(int fd, uint64_t bytes)
{
        struct json_object *o = json_new();

        json_add_u64(o, "total", bytes);
        report_object(fd, o);
}

void report_warning(int fd, const char *fmt, ...)
{
        struct json_object *o = json_new();
        autofree char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = xvasprintf(fmt, ap);
        va_end(ap);
        json_add_string(o, "warning", text);
        report_object(fd, o);
}

void report_path(int fd, const char *path)
{
        struct json_object *o = json_new();

        json_add_string(o, "path", path);
        report_object(fd, o);
}

void report_progress(int fd, const char *stage, const char *text)
{
        struct json_object *o = json_new(), *event = json_new();

        json_add_string(event, "stage", stage);
        json_add_string(event, "state", "begin");
        json_add_string(event, "text", text);
        json_add(o, "progress", event);
        report_object(fd, o);
}

void report_error(int fd, const struct error *err)
{
        report_object(fd, varlink_error_new(err));
}

static void take_line(struct report_reader *r)
{
        autojson struct json_object *o = json_parse((const char *)buf_head(&r->line), buf_size(&r->line), NULL);
        const char *warning = o ? json_get_string(o, "warning", NULL) : NULL;

        if (o && json_get(o, "error")) {
                varlink_read_reply(o, NULL, NULL, r->error.code ? NULL : &r->error);
        } else if (warning) {
                r->warning(r->userdata, warning);
        } else if (o && json_get(o, "progress")) {
                if (r->progress)
                        r->progress(r->userdata, json_get(o, "progress"));
        } else if (o && json_get(o, "total")) {
                r->total = json_get_u64(o, "total", 0);
        } else if (o && json_get(o, "path")) {
                free(r->path);
                r->path = xstrdup(json_get_string(o, "path", ""));
        } else if (o && r->object) {
                r->object(r->userdata, o);
        } else if (!r->other) {
                r->other = xstrndup((const char *)buf_head(&r->line), buf_size(&r->line));
        }
}

void report_read(struct report_reader *r, const void *data, size_t n)
{
        const char *at = data, *end = at + n;

        while (at < end) {
                const char *newline = memchr(at, '\n', (size_t)(end - at));
                size_t length = (size_t)((newline ? newline : end) - at);

                r->dropping |= buf_size(&r->line) + length > REPORT_LINE_MAX;
                if (!r->dropping)
                        buf_append(&r->line, at, length);
                if (newline) {
                        if (!r->dropping && buf_size(&r->line) > 0)
                                take_line(r);
                        buf_consume(&r->line, buf_size(&r->line));
                        r->dropping = false;
                }
                at += length + (newline != NULL);
        }
}

void report_reader_done(struct report_reader *r)
{
        free(take_ptr(r->path));
        free(take_ptr(r->other));
        buf_done(&r->line);
}
