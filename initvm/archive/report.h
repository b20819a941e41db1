/* SPDX-License-Identifier: MIT */
/*
 * What a process that copies, or another helper of ours, tells the one that shows it: one JSON object a line.
 *
 *   {"total": N}                                       about how many bytes the archive will have
 *   {"warning": TEXT}                                  something was left out; the copy goes on
 *   {"path": TEXT}                                     where it is now; what follows may use it
 *   {"progress": {"stage": NAME, "text": TEXT}}        a stage of something long has begun: type Progress of org.initvm
 *   {"error": NAME, "parameters": {"message": TEXT}}   the copy failed: a Varlink error, and the last line
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/util.h"

#include <stdint.h>

void report_total(int fd, uint64_t bytes);
void report_warning(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void report_path(int fd, const char *path);
void report_progress(int fd, const char *stage, const char *text);
void report_error(int fd, const struct error *err);
/* A report of another kind, which is the caller's. */
void report_object(int fd, struct json_object *owned);

/* A line takes a message with each byte escaped; a longer one is dropped. */
#define REPORT_LINE_MAX (8u * ERROR_MESSAGE_MAX)

/* Reads such lines, however they are cut. What is no report (a crash has last words, too) is kept as `other`. */
struct report_reader {
        void (*warning)(void *userdata, const char *text);
        void (*progress)(void *userdata, struct json_object *event); /* may be NULL */
        void (*object)(void *userdata, struct json_object *o);       /* a line that is none of the above; may be NULL */
        void *userdata;

        uint64_t total;     /* 0: not told */
        struct error error; /* the first one */
        char *path;         /* NULL: not told */
        char *other;
        struct buf line;
        bool dropping; /* up to the end of a line that is too long */
};
void report_read(struct report_reader *r, const void *data, size_t n);
void report_reader_done(struct report_reader *r);
