/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* From an exact heap copy without a NUL, so that ASan sees a read of one byte too many. */
static struct json_object *parse(const char *text, size_t n, struct error *err)
{
        autofree char *copy = xcalloc(n, 1);

        memcpy(copy, text, n);
        return json_parse(copy, n, err);
}

static void test_accepted(void **state)
{
        static const char *const cases[][2] = {
                {"{}", "{}"},
                {" \t\r\n{ } \n", "{}"},
                {"[]", "[]"},
                {"[ 1 , -2,\n3]", "[1,-2,3]"},
                {"true", "true"},
                {"false", "false"},
                {"0", "0"},
                {"-0", "0"},
                {"17", "17"},
                {"18446744073709551615", "18446744073709551615"},
                {"-9223372036854775808", "-9223372036854775808"},
                {"1.5", "1.5"},
                {"1e3", "1e3"},
                {"-0.25E-2", "-0.25E-2"},
                {"\"\"", "\"\""},
                {"\"a/b\\/c\"", "\"a/b/c\""},
                {"\"\\\"\\\\\\b\\f\\n\\r\\t\"", "\"\\\"\\\\\\b\\f\\n\\r\\t\""},
                {"\"\\u00e4\\ud83d\\ude00\xc3\xa4\"", "\"\xc3\xa4\xf0\x9f\x98\x80\xc3\xa4\""},
                {"\"\\\\u0000\"", "\"\\\\u0000\""}, /* a backslash and five characters */
                {"\"\x7f\"", "\"\x7f\""},
                {"{\"a\":null,\"b\":[true,false,null]}", "{\"a\":null,\"b\":[true,false,null]}"},
                {"{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}", "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}"},
                {"{\"\":1,\"A\":2,\"a\":3}", "{\"\":1,\"A\":2,\"a\":3}"},
                {"{\"\\u0061\":1,\"\\\\u0061\":2}", "{\"a\":1,\"\\\\u0061\":2}"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                autojson struct json_object *o = parse(cases[i][0], strlen(cases[i][0]), &err);

                if (!o)
                        fail_msg("%s: %s", cases[i][0], err.message);
                assert_string_equal(json_line(o), cases[i][1]);
        }
}

#define TEXT(s) s, sizeof(s) - 1
static void test_refused(void **state)
{
        static const struct {
                const char *text;
                size_t n;
                const char *says;
        } cases[] = {
                {TEXT(""), "byte 0: ends too early"},
                {TEXT("  "), "byte 2: ends too early"},
                {TEXT("null"), "null"},
                {TEXT("'a'"), "byte 0"},
                {TEXT("{'a':1}"), "byte 1: expected a key in double quotes"},
                {TEXT("{a:1}"), "expected a key in double quotes"},
                {TEXT("{1:1}"), "expected a key in double quotes"},
                {TEXT("[NaN]"), "byte 1"},
                {TEXT("NaN"), "byte 0"},
                {TEXT("[Infinity]"), "byte 1"},
                {TEXT("[-Infinity]"), "byte 1"},
                {TEXT("True"), "byte 0"},
                {TEXT("NULL"), "byte 0"},
                {TEXT("[nul]"), "byte 1"},
                {TEXT("tru"), "byte 0"},
                {TEXT("truex"), "byte 4: something follows"},
                {TEXT("/* */ 1"), "byte 0"},
                {TEXT("1 // one"), "byte 2: something follows"},
                {TEXT("\xef\xbb\xbf{}"), "byte 0"}, /* a byte order mark */
                {TEXT("{\"a\":1,\"a\":2}"), "the key 'a' is there twice"},
                {TEXT("{\"a\":1,\"\\u0061\":2}"), "the key 'a' is there twice"},
                {TEXT("{\"\\u0061\":1,\"a\":2}"), "the key 'a' is there twice"},
                {TEXT("{\"a\\/b\":1,\"b\":0,\"a/b\":2}"), "the key 'a/b' is there twice"},
                {TEXT("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"), "is there twice"},
                {TEXT("[{\"x\":{\"\":1,\"\":2}}]"), "the key '' is there twice"},
                {TEXT("{\"\\q\":1}"), "wrong escape in a key"},
                {TEXT("{\"a\":1,}"), "expected a key"},
                {TEXT("{,}"), "expected a key"},
                {TEXT("{\"a\"}"), "expected ':'"},
                {TEXT("{\"a\":}"), "unexpected character"},
                {TEXT("{\"a\":1 \"b\":2}"), "expected ',' or '}'"},
                {TEXT("{\"a\":1"), "expected ',' or '}'"},
                {TEXT("{"), "expected a key"},
                {TEXT("[1,]"), "byte 3"},
                {TEXT("[,1]"), "byte 1"},
                {TEXT("[1 2]"), "expected ',' or ']'"},
                {TEXT("[1"), "expected ',' or ']'"},
                {TEXT("[1}"), "expected ',' or ']'"},
                {TEXT("[[]"), "expected ',' or ']'"},
                {TEXT("18446744073709551616"), "byte 0: not a number of 64 bits"},
                {TEXT("[-9223372036854775809]"), "byte 1: not a number of 64 bits"},
                {TEXT("99999999999999999999999999"), "not a number of 64 bits"},
                {TEXT("1e999"), "not a number of 64 bits"},
                {TEXT("-1e999"), "not a number of 64 bits"},
                {TEXT("01"), "byte 0: not a number"},
                {TEXT("-01"), "byte 0: not a number"},
                {TEXT("00"), "byte 0: not a number"},
                {TEXT("01.5"), "byte 0: not a number"},
                {TEXT("-"), "byte 0: not a number"},
                {TEXT("1."), "byte 0: not a number"},
                {TEXT(".5"), "byte 0"},
                {TEXT("1.e5"), "byte 0: not a number"},
                {TEXT("1e"), "byte 0: not a number"},
                {TEXT("1e+"), "byte 0: not a number"},
                {TEXT("+1"), "byte 0"},
                {TEXT("1-2"), "something follows"},
                {TEXT("1.5.5"), "something follows"},
                {TEXT("0x10"), "something follows"},
                {TEXT("1 2"), "byte 2: something follows"},
                {TEXT("{} {}"), "byte 3: something follows"},
                {TEXT("{}\0"), "byte 2: something follows"},
                {TEXT("\0{}"), "byte 0"},
                {TEXT("{}\0\xff junk"), "byte 2: something follows"},
                {TEXT("[1\0]"), "byte 2"},
                {TEXT("\"a\0b\""), "byte 2: control character"},
                {TEXT("\"a\nb\""), "control character"},
                {TEXT("\"\x1f\""), "control character"},
                {TEXT("\"\\u0000\""), "NUL in a string"},
                {TEXT("{\"a\\u0000b\":1}"), "NUL in a string"},
                {TEXT("\""), "string without an end"},
                {TEXT("\"\\"), "string without an end"},
                {TEXT("\"\\\""), "string without an end"},
                {TEXT("\"abc"), "string without an end"},
                {TEXT("\"\\u00"), "string without an end"},
                {TEXT("\"\\u00\""), "not valid JSON"},
                {TEXT("\"\\u00zz\""), "not valid JSON"},
                {TEXT("\"\\q\""), "not valid JSON"},
                {TEXT("\"\\'\""), "not valid JSON"},
                {TEXT("\"\xff\""), "byte 1: not UTF-8"},
                {TEXT("\"\xc0\x80\""), "not UTF-8"}, /* NUL, the long way */
                {TEXT("\"\xed\xa0\x80\""), "not UTF-8"},
                {TEXT("\"\xc3\""), "not UTF-8"},
                {TEXT("\"\xf0\x9f\x98"), "not UTF-8"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                autojson struct json_object *o = parse(cases[i].text, cases[i].n, &err);

                if (o)
                        fail_msg("%s was accepted", cases[i].text);
                assert_int_equal(err.code, ERR_INVALID);
                if (!strstr(err.message, cases[i].says))
                        fail_msg("%s: '%s' does not say '%s'", cases[i].text, err.message, cases[i].says);
                assert_null(parse(cases[i].text, cases[i].n, NULL));
        }
}

static char *nested(size_t depth, const char *opening, const char *closing)
{
        autobuf struct buf b = {0};

        for (size_t i = 0; i < depth; i++)
                buf_printf(&b, "%s", opening);
        for (size_t i = 0; i < depth; i++)
                buf_printf(&b, "%s", closing);
        return buf_take_string(&b);
}

static void test_depth(void **state)
{
        static const struct {
                const char *opening, *closing;
        } cases[] = {{"[", "]"}, {"{\"a\":[", "]}"}};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t most = JSON_DEPTH_MAX / (i + 1);
                autofree char *fits = nested(most, cases[i].opening, cases[i].closing);
                autofree char *deeper = nested(most + 1, cases[i].opening, cases[i].closing);
                autofree char *bottomless = nested(1u << 20, cases[i].opening, "");
                struct error err = ERROR_INIT;
                autojson struct json_object *o = json_parse(fits, strlen(fits), &err);

                assert_string_equal(err.message, "");
                assert_non_null(o);
                assert_null(json_parse(deeper, strlen(deeper), &err));
                assert_non_null(strstr(err.message, "nested too deeply"));
                assert_null(json_parse(bottomless, MIN(strlen(bottomless), (size_t)JSON_SIZE_MAX), &err));
                assert_non_null(strstr(err.message, "nested too deeply"));
        }
}

static void test_size(void **state)
{
        size_t n = JSON_SIZE_MAX;
        autofree char *text = xcalloc(n + 1, 1);
        struct error err = ERROR_INIT;
        autojson struct json_object *o = NULL;
        (void)state;

        memset(text, ' ', n + 1);
        text[0] = '1';
        o = json_parse(text, n, &err);
        assert_non_null(o);
        assert_null(json_parse(text, n + 1, &err));
        assert_non_null(strstr(err.message, "more than 4 MiB"));
}

/* The number of keys is the sender's choice: it must not cost their square. */
static void test_many_keys(void **state)
{
        autobuf struct buf b = {0};
        struct error err = ERROR_INIT;
        autojson struct json_object *o = NULL;
        uint64_t start = now_ms();
        (void)state;

        buf_printf(&b, "{\"x\":0");
        for (int i = 0; i < 100000; i++)
                buf_printf(&b, ",\"%d\":0", i);
        buf_printf(&b, "}");
        o = json_parse((const char *)buf_head(&b), buf_size(&b), &err);
        assert_non_null(o);
        assert_true(now_ms() - start < 20000);
}

static void test_file(void **state)
{
        autofree char *bad = scratch_file(state, "bad.json", "{\"a\":}\n", 7, 0600);
        autofree char *good = scratch_file(state, "good.json", "{\"a\":1}\n", 8, 0600);
        autofree char *missing = scratch_path(state, "missing.json");
        struct error err = ERROR_INIT;
        autojson struct json_object *o = json_parse_file(good, &err);

        assert_int_equal(json_get_u64(o, "a", 0), 1);
        assert_null(json_parse_file(bad, &err));
        assert_non_null(strstr(err.message, bad));
        assert_non_null(strstr(err.message, "byte 5"));
        assert_null(json_parse_file(missing, &err));
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_non_null(strstr(err.message, missing));
}

static void test_read(void **state)
{
        static const struct {
                const char *text, *says; /* NULL: fine */
        } cases[] = {
                {"{\"s\":\"x\"}", NULL},
                {"{\"s\":\"x\",\"b\":true,\"u\":18446744073709551615,\"a\":[1],\"v\":[\"x\"],\"o\":{},\"y\":1}", NULL},
                {"{\"s\":\"x\",\"b\":null,\"u\":null,\"a\":null,\"v\":null,\"o\":null,\"y\":null}", NULL},
                {"{\"s\":\"x\",\"v\":[]}", NULL},
                {"{}", "'s' is missing"},
                {"{\"s\":null}", "'s' is missing"},
                {"{\"s\":1}", "'s' must be a string"},
                {"{\"s\":\"x\",\"b\":1}", "'b' must be true or false"},
                {"{\"s\":\"x\",\"b\":\"true\"}", "'b' must be true or false"},
                {"{\"s\":\"x\",\"u\":-1}", "'u' must be a number of 0 or more"},
                {"{\"s\":\"x\",\"u\":1.0}", "'u' must be a number of 0 or more"},
                {"{\"s\":\"x\",\"u\":\"1\"}", "'u' must be a number of 0 or more"},
                {"{\"s\":\"x\",\"a\":{}}", "'a' must be an array"},
                {"{\"s\":\"x\",\"v\":[\"a\",1]}", "'v' must be an array of strings"},
                {"{\"s\":\"x\",\"v\":[null]}", "'v' must be an array of strings"},
                {"{\"s\":\"x\",\"o\":[]}", "'o' must be an object"},
                {"{\"s\":\"x\",\"zz\":1}", "'zz' is not a known field"},
                {"{\"s\":\"x\",\"S\":1}", "'S' is not a known field"},
                {"[]", "must be a JSON object"},
                {"\"s\"", "must be a JSON object"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct error err = ERROR_INIT;
                const char *s = NULL;
                bool b = false;
                uint64_t u = 5;
                struct json_object *a = NULL, *v = NULL, *inner = NULL, *any = NULL;
                const struct json_field fields[] = {
                        {"s", JSON_FIELD_STRING, JSON_REQUIRED, &s},
                        {"b", JSON_FIELD_BOOL, 0, &b},
                        {"u", JSON_FIELD_U64, 0, &u},
                        {"a", JSON_FIELD_ARRAY, 0, &a},
                        {"v", JSON_FIELD_STRINGS, 0, &v},
                        {"o", JSON_FIELD_OBJECT, 0, &inner},
                        {"y", JSON_FIELD_ANY, 0, &any},
                };
                autojson struct json_object *o = json_parse(cases[i].text, strlen(cases[i].text), &err);
                int r = json_read(o, fields, ARRAY_SIZE(fields), &err);

                assert_non_null(o);
                assert_int_equal(r, cases[i].says ? -1 : 0);
                if (cases[i].says) {
                        assert_int_equal(err.code, ERR_INVALID);
                        assert_string_equal(err.message, cases[i].says);
                        bool unknown = strstr(cases[i].says, "not a known field");
                        assert_int_equal(json_read_lenient(o, fields, ARRAY_SIZE(fields), NULL), unknown ? 0 : -1);
                } else {
                        assert_string_equal(s, "x");
                        assert_int_equal(u, i == 1 ? UINT64_MAX : 5);
                        assert_int_equal(b, i == 1);
                }
        }
}

static void test_look_ups(void **state)
{
        static const char text[] = "{\"s\":\"x\",\"n\":-3,\"u\":7,\"t\":true,\"z\":null}";
        autojson struct json_object *o = json_parse(text, strlen(text), NULL);
        (void)state;

        assert_string_equal(json_get_string(o, "s", "d"), "x");
        assert_string_equal(json_get_string(o, "u", "d"), "d");
        assert_string_equal(json_get_string(o, "z", "d"), "d");
        assert_string_equal(json_get_string(NULL, "s", "d"), "d");
        assert_int_equal(json_get_u64(o, "u", 9), 7);
        assert_int_equal(json_get_u64(o, "n", 9), 9);
        assert_int_equal(json_get_u64(o, "s", 9), 9);
        assert_true(json_get_bool(o, "t", false));
        assert_true(json_get_bool(o, "missing", true));
        assert_null(json_get(o, "z"));
        assert_null(json_get(NULL, "z"));
}

static void test_build(void **state)
{
        char *words[] = {(char *)"a", (char *)"", NULL};
        autojson struct json_object *o = json_new(), *again = NULL;
        autostrv char **v = NULL;
        (void)state;

        json_add_string(o, "text", "a/\"b\"\n\xc3\xa4");
        json_add_string(o, "broken", "\xff-\xc3\xa4-\xe2\x82");
        json_add_string(o, "empty", "");
        json_add_string(o, "nothing", NULL);
        json_add(o, "nothing", NULL);
        json_add_u64(o, "big", UINT64_MAX);
        json_add_i64(o, "low", INT64_MIN);
        json_add_bool(o, "yes", true);
        json_add(o, "words", json_from_strv(words));
        json_add(o, "none", json_from_strv(NULL));
        assert_string_equal(json_line(o),
                            "{\"text\":\"a/\\\"b\\\"\\n\xc3\xa4\",\"broken\":\"\xef\xbf\xbd-\xc3\xa4-\xef\xbf\xbd\xef\xbf\xbd\","
                            "\"empty\":\"\",\"big\":18446744073709551615,\"low\":-9223372036854775808,\"yes\":true,"
                            "\"words\":[\"a\",\"\"],\"none\":[]}");
        again = json_parse(json_line(o), strlen(json_line(o)), NULL);
        assert_true(json_object_equal(o, again));
        v = json_to_strv(json_get(o, "words"));
        assert_int_equal(strv_length(v), 2);
        assert_string_equal(v[0], "a");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepted),  cmocka_unit_test(test_refused),
                cmocka_unit_test(test_depth),     cmocka_unit_test(test_size),
                cmocka_unit_test(test_many_keys), cmocka_unit_test_setup_teardown(test_file, scratch_setup, scratch_teardown),
                cmocka_unit_test(test_read),      cmocka_unit_test(test_look_ups),
                cmocka_unit_test(test_build),
        };

        return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
