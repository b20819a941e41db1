/* SPDX-License-Identifier: MIT */
/*
 * JSON in and out, through json-c: the only place that parses.
 *
 * json-c's strict mode still accepts single quotes, NaN, Infinity, repeated keys and overlong UTF-8, and clamps big numbers,
 * so json_parse() checks these itself (RFC 8259), and bounds size and depth.
 */
#pragma once

#include "base/error.h"
#include "base/util.h"

#include <json-c/json_object.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_SIZE_MAX  (4u << 20) /* a Varlink message or an image file is far below it */
#define JSON_DEPTH_MAX 32         /* deeper than anything we exchange */

#define autojson __attribute__((cleanup(cleanup_json)))
void cleanup_json(struct json_object **o);

/* Parses exactly one JSON value of n bytes (white space around it allowed), which must not be null: json-c has no object for
 * it. NULL with ERR_INVALID, naming the offset or the repeated key. */
struct json_object *json_parse(const char *text, size_t n, struct error *err);

/* Reads and parses a file; the error names it. */
struct json_object *json_parse_file(const char *path, struct error *err);

/* One line without spaces; the string belongs to the object and lives until it changes. */
const char *json_line(struct json_object *o);

/*
 * Reading an object by a table: each field is checked for its type, unknown keys are refused by name, and the error
 * names the field ("'size' must be a number, not a string").  Strings, arrays and objects in the results are borrowed
 * from the object.
 */
enum json_field_type {
        JSON_FIELD_STRING,  /* const char ** */
        JSON_FIELD_BOOL,    /* bool * */
        JSON_FIELD_U64,     /* uint64_t * */
        JSON_FIELD_ARRAY,   /* struct json_object ** */
        JSON_FIELD_STRINGS, /* struct json_object **: an array of strings */
        JSON_FIELD_OBJECT,  /* struct json_object ** */
        JSON_FIELD_ANY,     /* struct json_object ** */
};
#define JSON_REQUIRED 1u
struct json_field {
        const char *name;
        enum json_field_type type;
        unsigned flags;
        void *target; /* untouched when the field is absent or null */
};
int json_read(struct json_object *o, const struct json_field *fields, size_t n_fields, struct error *err);

/* The same, but keys that are not in the table are passed over (for messages of a newer peer). */
int json_read_lenient(struct json_object *o, const struct json_field *fields, size_t n_fields, struct error *err);

/* Quick look-ups where absence is fine. */
const char *json_get_string(struct json_object *o, const char *key, const char *fallback);
bool json_get_bool(struct json_object *o, const char *key, bool fallback);
uint64_t json_get_u64(struct json_object *o, const char *key, uint64_t fallback);
struct json_object *json_get(struct json_object *o, const char *key); /* borrowed, NULL when absent */

/* Building: json_add_*() on a new object; a NULL string or object adds nothing.  Strings may quote what programs wrote, so that
 * bytes that are not UTF-8 become U+FFFD: nobody could read the JSON otherwise. */
struct json_object *json_new(void);
void json_add_string(struct json_object *o, const char *key, const char *value);
void json_add_bool(struct json_object *o, const char *key, bool value);
void json_add_u64(struct json_object *o, const char *key, uint64_t value);
void json_add_i64(struct json_object *o, const char *key, int64_t value);
void json_add(struct json_object *o, const char *key, struct json_object *owned);
struct json_object *json_from_strv(char *const *v);
char **json_to_strv(struct json_object *array); /* owned; the array must hold strings only (JSON_FIELD_STRINGS) */
