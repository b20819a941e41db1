/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include "base/file.h"

#include <json-c/json.h>
#include <string.h>

void cleanup_json(struct json_object **o)
{
        json_object_put(*o);
}

/*
 * What json-c lets through and RFC 8259 does not: single quotes, NaN, Infinity, comments, a repeated key, an integer
 * outside of 64 bits.  A small scanner goes over the text first; it knows strings from the rest, and keeps the keys of
 * the open objects.
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

        for (; s->at < s->n; s->at++) {
                unsigned char c = (unsigned char)s->text[s->at];
                if (c == '"') {
                        *ret = s->text + start;
                        *ret_n = s->at - start;
                        s->at++;
                        return 0;
                }
                if (c < 0x20)
                        return scan_fail(s, "control character in a string", err);
                if (c == '\\') {
                        s->at++;
                        if (s->at + 4 < s->n && strncmp(s->text + s->at, "u0000", 5) == 0)
                                return scan_fail(s, "NUL in a string", err);
                }
        }
        return scan_fail(s, "string without an end", err);
}

static int scan_value(struct scanner *s, unsigned depth, struct error *err);

static int scan_object(struct scanner *s, unsigned depth, struct error *err)
{
        autostrv char **keys = NULL;

        s->at++;
        scan_space(s);
        if (s->at < s->n && s->text[s->at] == '}') {
                s->at++;
                return 0;
        }
        for (;;) {
                const char *key;
                size_t key_n;
                autofree char *copy = NULL;

                scan_space(s);
                if (s->at >= s->n || s->text[s->at] != '"')
                        return scan_fail(s, "expected a key in double quotes", err);
                if (scan_string(s, &key, &key_n, err) < 0)
                        return -1;
                copy = xstrndup(key, key_n);
                if (strv_contains(keys, copy))
                        return error_set(err, ERR_INVALID, "not valid JSON: the key '%s' is there twice", copy);
                strv_push(&keys, take_ptr(copy));
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

static int scan_number(struct scanner *s, struct error *err)
{
        size_t start = s->at, n;
        bool real = false;
        autofree char *word = NULL;
        uint64_t v;

        while (s->at < s->n && strchr("+-0123456789.eE", s->text[s->at]) && s->text[s->at]) {
                real |= strchr(".eE", s->text[s->at]) != NULL;
                s->at++;
        }
        n = s->at - start;
        word = xstrndup(s->text + start, n);
        if (real)
                return 0; /* json-c checks its form */
        if (parse_u64(word[0] == '-' ? word + 1 : word, 0, word[0] == '-' ? (uint64_t)INT64_MAX + 1 : UINT64_MAX, &v) < 0) {
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
        return json_object_is_type(v, json_type_int) ? json_object_get_uint64(v) : fallback;
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
        if (value)
                json_add(o, key, json_object_new_string(value));
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
