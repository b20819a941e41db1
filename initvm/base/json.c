/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include "base/file.h"

#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void cleanup_json(struct json_object **o)
{
        json_object_put(*o);
}

/*
 * What json-c lets through and RFC 8259 does not: single quotes, NaN, Infinity, comments, a repeated key, bytes that are not
 * UTF-8, an integer outside of 64 bits, a number that is too large for a double.  A small scanner goes over the text first; it
 * knows strings from the rest, and keeps the keys of the open objects.
 */
struct scanner {
        const char *text;
        size_t n;
        size_t at;
};

static int scan_fail(const struct scanner *s, const char *what, struct error *err)
{
        return error_set(err, ERR_INVALID, "not valid JSON at byte %zu: %s", s->at, what);
}

static void scan_space(struct scanner *s)
{
        while (s->at < s->n && strchr(" \t\r\n", s->text[s->at]) && s->text[s->at])
                s->at++;
}

/* At a quote: moves behind the closing one. Returns where the content starts, and its length. */
static int scan_string(struct scanner *s, const char **ret, size_t *ret_n, struct error *err)
{
        size_t start = ++s->at;

        while (s->at < s->n) {
                unsigned char c = (unsigned char)s->text[s->at];
                size_t length = utf8_length(s->text + s->at, s->n - s->at);
                if (c == '"') {
                        *ret = s->text + start;
                        *ret_n = s->at - start;
                        s->at++;
                        return 0;
                }
                if (c < 0x20)
                        return scan_fail(s, "control character in a string", err);
                if (length == 0)
                        return scan_fail(s, "not UTF-8", err);
                if (c == '\\') {
                        if (s->n - s->at > 5 && memcmp(s->text + s->at, "\\u0000", 6) == 0)
                                return scan_fail(s, "NUL in a string", err);
                        length = 2; /* json-c checks what may follow; here only \" matters */
                }
                s->at += length;
        }
        s->at = s->n;
        return scan_fail(s, "string without an end", err);
}

/* The text of a key, owned: "\u0061" is the same key as "a". NULL when it has a wrong escape. */
static char *key_text(const char *content, size_t n)
{
        autojson struct json_object *o = NULL;
        struct json_tokener *tok;

        if (!memchr(content, '\\', n))
                return xstrndup(content, n);
        tok = json_tokener_new();
        if (!tok)
                abort();
        o = json_tokener_parse_ex(tok, content - 1, (int)n + 2); /* with its quotes */
        json_tokener_free(tok);
        return json_object_is_type(o, json_type_string) ? xstrdup(json_object_get_string(o)) : NULL;
}

/* Adds a key to the set of its object, which is hashed, since the number of keys is the sender's choice. */
static int note_key(struct scanner *s, struct json_object *keys, const char *content, size_t n, struct error *err)
{
        autofree char *key = key_text(content, n);

        if (!key)
                return scan_fail(s, "wrong escape in a key", err);
        if (json_object_object_get_ex(keys, key, NULL))
                return error_set(err, ERR_INVALID, "not valid JSON: the key '%s' is there twice", key);
        if (json_object_object_add(keys, key, NULL) < 0)
                abort();
        return 0;
}

static int scan_value(struct scanner *s, unsigned depth, struct error *err);

static int scan_object(struct scanner *s, unsigned depth, struct error *err)
{
        autojson struct json_object *keys = json_new();

        s->at++;
        scan_space(s);
        if (s->at < s->n && s->text[s->at] == '}') {
                s->at++;
                return 0;
        }
        for (;;) {
                const char *key;
                size_t key_n;

                scan_space(s);
                if (s->at >= s->n || s->text[s->at] != '"')
                        return scan_fail(s, "expected a key in double quotes", err);
                if (scan_string(s, &key, &key_n, err) < 0 || note_key(s, keys, key, key_n, err) < 0)
                        return -1;
                scan_space(s);
                if (s->at >= s->n || s->text[s->at] != ':')
                        return scan_fail(s, "expected ':'", err);
                s->at++;
                if (scan_value(s, depth + 1, err) < 0)
                        return -1;
                scan_space(s);
                if (s->at < s->n && s->text[s->at] == ',') {
                        s->at++;
                        continue;
                }
                if (s->at < s->n && s->text[s->at] == '}') {
                        s->at++;
                        return 0;
                }
                return scan_fail(s, "expected ',' or '}'", err);
        }
}

static int scan_array(struct scanner *s, unsigned depth, struct error *err)
{
        s->at++;
        scan_space(s);
        if (s->at < s->n && s->text[s->at] == ']') {
                s->at++;
                return 0;
        }
        for (;;) {
                if (scan_value(s, depth + 1, err) < 0)
                        return -1;
                scan_space(s);
                if (s->at < s->n && s->text[s->at] == ',') {
                        s->at++;
                        continue;
                }
                if (s->at < s->n && s->text[s->at] == ']') {
                        s->at++;
                        return 0;
                }
                return scan_fail(s, "expected ',' or ']'", err);
        }
}

static size_t scan_digits(struct scanner *s)
{
        size_t start = s->at;

        while (s->at < s->n && s->text[s->at] >= '0' && s->text[s->at] <= '9')
                s->at++;
        return s->at - start;
}

/* RFC 8259, section 6. */
static int scan_number(struct scanner *s, struct error *err)
{
        size_t start = s->at, digits;
        bool negative = s->text[s->at] == '-', real = false, well_formed;
        autofree char *word = NULL;
        uint64_t v;

        s->at += negative;
        digits = scan_digits(s);
        well_formed = digits == 1 || (digits > 1 && s->text[s->at - digits] != '0');
        if (s->at < s->n && s->text[s->at] == '.') {
                s->at++;
                real = true;
                well_formed &= scan_digits(s) > 0;
        }
        if (s->at < s->n && (s->text[s->at] == 'e' || s->text[s->at] == 'E')) {
                s->at++;
                real = true;
                if (s->at < s->n && (s->text[s->at] == '+' || s->text[s->at] == '-'))
                        s->at++;
                well_formed &= scan_digits(s) > 0;
        }
        word = xstrndup(s->text + start, s->at - start);
        if (!well_formed) {
                s->at = start;
                return scan_fail(s, "not a number", err);
        }
        if (real ? isinf(strtod(word, NULL))
                 : parse_u64(word + negative, 0, negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX, &v) < 0) {
                s->at = start;
                return scan_fail(s, "not a number of 64 bits", err);
        }
        return 0;
}

static int scan_value(struct scanner *s, unsigned depth, struct error *err)
{
        static const char *const words[] = {"true", "false", "null"};
        const char *ignored;
        size_t ignored_n;

        if (depth >= JSON_DEPTH_MAX)
                return scan_fail(s, "nested too deeply", err);
        scan_space(s);
        if (s->at >= s->n)
                return scan_fail(s, "ends too early", err);
        switch (s->text[s->at]) {
        case '{':
                return scan_object(s, depth, err);
        case '[':
                return scan_array(s, depth, err);
        case '"':
                return scan_string(s, &ignored, &ignored_n, err);
        case '-':
        case '0' ... '9':
                return scan_number(s, err);
        default:
                for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                        if (s->n - s->at >= strlen(words[i]) && memcmp(s->text + s->at, words[i], strlen(words[i])) == 0) {
                                s->at += strlen(words[i]);
                                return 0;
                        }
                return scan_fail(s, "unexpected character", err);
        }
}

struct json_object *json_parse(const char *text, size_t n, struct error *err)
{
        struct scanner s = {.text = text, .n = n};
        struct json_tokener *tok;
        struct json_object *o;
        enum json_tokener_error status;

        if (n > JSON_SIZE_MAX) {
                error_set(err, ERR_INVALID, "JSON of more than %s", format_size(JSON_SIZE_MAX));
                return NULL;
        }
        if (scan_value(&s, 0, err) < 0)
                return NULL;
        scan_space(&s);
        if (s.at != n) {
                scan_fail(&s, "something follows the value", err);
                return NULL;
        }
        tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
        if (!tok)
                abort();
        json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        o = json_tokener_parse_ex(tok, text, (int)n);
        status = json_tokener_get_error(tok);
        if (status == json_tokener_continue) /* a bare number ends only with the text */
                o = json_tokener_parse_ex(tok, "", 1), status = json_tokener_get_error(tok);
        json_tokener_free(tok);
        if (status != json_tokener_success) {
                json_object_put(o);
                error_set(err, ERR_INVALID, "not valid JSON: %s", json_tokener_error_desc(status));
                return NULL;
        }
        if (!o) /* json-c's null is no object */
                error_set(err, ERR_INVALID, "there is only null");
        return o;
}

struct json_object *json_parse_file(const char *path, struct error *err)
{
        autofree char *text = NULL;
        size_t n;
        struct json_object *o;

        text = file_read(path, JSON_SIZE_MAX, &n, err);
        if (!text)
                return NULL;
        o = json_parse(text, n, err);
        if (!o)
                error_prefix(err, "'%s'", path);
        return o;
}

const char *json_line(struct json_object *o)
{
        return json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static const char *const field_type_names[] = {
        [JSON_FIELD_STRING] = "a string",
        [JSON_FIELD_BOOL] = "true or false",
        [JSON_FIELD_U64] = "a number of 0 or more",
        [JSON_FIELD_ARRAY] = "an array",
        [JSON_FIELD_STRINGS] = "an array of strings",
        [JSON_FIELD_OBJECT] = "an object",
        [JSON_FIELD_ANY] = "a value",
};

static bool strings_only(struct json_object *array)
{
        for (size_t i = 0; i < json_object_array_length(array); i++)
                if (!json_object_is_type(json_object_array_get_idx(array, i), json_type_string))
                        return false;
        return true;
}

/* Stores v where the field wants it; false when v has another type. */
static bool field_store(const struct json_field *f, struct json_object *v)
{
        enum json_type type = json_object_get_type(v);

        switch (f->type) {
        case JSON_FIELD_STRING:
                if (type != json_type_string)
                        return false;
                *(const char **)f->target = json_object_get_string(v);
                return true;
        case JSON_FIELD_BOOL:
                if (type != json_type_boolean)
                        return false;
                *(bool *)f->target = json_object_get_boolean(v);
                return true;
        case JSON_FIELD_U64:
                if (type != json_type_int || (json_object_get_int64(v) < 0))
                        return false;
                *(uint64_t *)f->target = json_object_get_uint64(v);
                return true;
        case JSON_FIELD_ARRAY:
        case JSON_FIELD_STRINGS:
                if (type != json_type_array || (f->type == JSON_FIELD_STRINGS && !strings_only(v)))
                        return false;
                *(struct json_object **)f->target = v;
                return true;
        case JSON_FIELD_OBJECT:
                if (type != json_type_object)
                        return false;
                *(struct json_object **)f->target = v;
                return true;
        case JSON_FIELD_ANY:
                *(struct json_object **)f->target = v;
                return true;
        }
        return false;
}

static int read_fields(struct json_object *o, const struct json_field *fields, size_t n_fields, bool lenient, struct error *err)
{
        if (!json_object_is_type(o, json_type_object))
                return error_set(err, ERR_INVALID, "must be a JSON object");
        for (size_t i = 0; i < n_fields; i++) {
                struct json_object *v = NULL;
                if (!json_object_object_get_ex(o, fields[i].name, &v) || !v) {
                        if (fields[i].flags & JSON_REQUIRED)
                                return error_set(err, ERR_INVALID, "'%s' is missing", fields[i].name);
                        continue;
                }
                if (!field_store(&fields[i], v))
                        return error_set(err, ERR_INVALID, "'%s' must be %s", fields[i].name, field_type_names[fields[i].type]);
        }
        if (lenient)
                return 0;
        json_object_object_foreach (o, key, ignored) {
                bool known = false;
                (void)ignored;
                for (size_t i = 0; i < n_fields; i++)
                        known |= streq(fields[i].name, key);
                if (!known)
                        return error_set(err, ERR_INVALID, "'%s' is not a known field", key);
        }
        return 0;
}

int json_read(struct json_object *o, const struct json_field *fields, size_t n_fields, struct error *err)
{
        return read_fields(o, fields, n_fields, false, err);
}

int json_read_lenient(struct json_object *o, const struct json_field *fields, size_t n_fields, struct error *err)
{
        return read_fields(o, fields, n_fields, true, err);
}

struct json_object *json_get(struct json_object *o, const char *key)
{
        struct json_object *v = NULL;

        if (!json_object_is_type(o, json_type_object))
                return NULL;
        return json_object_object_get_ex(o, key, &v) ? v : NULL;
}

const char *json_get_string(struct json_object *o, const char *key, const char *fallback)
{
        struct json_object *v = json_get(o, key);
        return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : fallback;
}

bool json_get_bool(struct json_object *o, const char *key, bool fallback)
{
        struct json_object *v = json_get(o, key);
        return json_object_is_type(v, json_type_boolean) ? (bool)json_object_get_boolean(v) : fallback;
}

uint64_t json_get_u64(struct json_object *o, const char *key, uint64_t fallback)
{
        struct json_object *v = json_get(o, key);
        return json_object_is_type(v, json_type_int) && json_object_get_int64(v) >= 0 ? json_object_get_uint64(v) : fallback;
}

struct json_object *json_new(void)
{
        struct json_object *o = json_object_new_object();
        if (!o)
                abort();
        return o;
}

void json_add(struct json_object *o, const char *key, struct json_object *owned)
{
        if (owned && json_object_object_add(o, key, owned) < 0)
                abort();
}

void json_add_string(struct json_object *o, const char *key, const char *value)
{
        autobuf struct buf clean = {0};
        size_t n = value ? strlen(value) : 0, good;

        if (!value)
                return;
        for (size_t at = 0; at < n; at += good) {
                good = utf8_length(value + at, n - at);
                buf_append(&clean, good ? value + at : "\xef\xbf\xbd", good ? good : 3);
                good = MAX(good, 1u);
        }
        json_add(o, key, json_object_new_string_len((const char *)buf_head(&clean), (int)buf_size(&clean)));
}

void json_add_bool(struct json_object *o, const char *key, bool value)
{
        json_add(o, key, json_object_new_boolean(value));
}

void json_add_u64(struct json_object *o, const char *key, uint64_t value)
{
        json_add(o, key, json_object_new_uint64(value));
}

void json_add_i64(struct json_object *o, const char *key, int64_t value)
{
        json_add(o, key, json_object_new_int64(value));
}

struct json_object *json_from_strv(char *const *v)
{
        struct json_object *a = json_object_new_array();

        for (; v && *v; v++)
                json_object_array_add(a, json_object_new_string(*v));
        return a;
}

char **json_to_strv(struct json_object *array)
{
        char **v = xcalloc(1, sizeof(char *));

        for (size_t i = 0; i < json_object_array_length(array); i++)
                strv_add(&v, json_object_get_string(json_object_array_get_idx(array, i)));
        return v;
}
