/* SPDX-License-Identifier: MIT */
#include "wire/varlink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const messages[] = {
        "{\"method\":\"org.initvm.List\"}",
        "{}",
        "{\"parameters\":{\"text\":\"\xc3\xa4\"},\"continues\":true}",
        "{\"error\":\"org.initvm.Failed\",\"parameters\":{\"message\":\"m\"}}",
};

/* Takes all that is whole, comparing; returns how many there were in the end. */
static size_t take_all(struct buf *in, size_t at)
{
        struct error err = ERROR_INIT;
        struct json_object *o = NULL;
        int r;

        while ((r = varlink_take(in, &o, &err)) == 1) {
                assert_true(at < ARRAY_SIZE(messages));
                assert_string_equal(json_line(o), messages[at++]);
                json_object_put(o);
        }
        assert_int_equal(r, 0);
        return at;
}

static void test_split_anywhere(void **state)
{
        autobuf struct buf wire = {0};
        size_t n;
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
                buf_append(&wire, messages[i], strlen(messages[i]) + 1);
        n = buf_size(&wire);
        for (size_t cut = 0; cut <= n; cut++) {
                autobuf struct buf in = {0};
                size_t at;

                buf_append(&in, buf_head(&wire), cut);
                at = take_all(&in, 0);
                buf_append(&in, buf_head(&wire) + cut, n - cut);
                assert_int_equal(take_all(&in, at), ARRAY_SIZE(messages));
                assert_int_equal(buf_size(&in), 0);
        }
        autobuf struct buf in = {0};
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
                buf_append(&in, buf_head(&wire) + i, 1);
                at = take_all(&in, at);
        }
        assert_int_equal(at, ARRAY_SIZE(messages));
}

/* What follows a message stays: after an upgrade it is no Varlink any more. */
static void test_residual(void **state)
{
        autobuf struct buf in = {0};
        struct json_object *o = NULL;
        (void)state;

        buf_append(&in, "{}\0\xff\0raw", 8);
        assert_int_equal(varlink_take(&in, &o, NULL), 1);
        json_object_put(o);
        assert_int_equal(buf_size(&in), 5);
        assert_memory_equal(buf_head(&in), "\xff\0raw", 5);
}

static void test_oversize(void **state)
{
        autobuf struct buf in = {0};
        struct error err = ERROR_INIT;
        struct json_object *o = NULL;
        (void)state;

        /* The largest: {} and spaces. */
        memset(buf_reserve(&in, VARLINK_MESSAGE_MAX), ' ', VARLINK_MESSAGE_MAX);
        buf_commit(&in, VARLINK_MESSAGE_MAX);
        memcpy(buf_head(&in), "{}", 2);
        assert_int_equal(varlink_take(&in, &o, &err), 0);
        buf_append(&in, "", 1);
        assert_int_equal(varlink_take(&in, &o, &err), 1);
        json_object_put(o);
        assert_int_equal(buf_size(&in), 0);

        /* One byte more is refused as soon as it is there, and with its end as well. */
        memset(buf_reserve(&in, VARLINK_MESSAGE_MAX + 1), ' ', VARLINK_MESSAGE_MAX + 1);
        buf_commit(&in, VARLINK_MESSAGE_MAX + 1);
        memcpy(buf_head(&in), "{}", 2);
        o = NULL;
        assert_int_equal(varlink_take(&in, &o, &err), -1);
        assert_int_equal(err.code, ERR_PROTOCOL);
        assert_non_null(strstr(err.message, "1 MiB"));
        buf_append(&in, "", 1);
        assert_int_equal(varlink_take(&in, &o, &err), -1);
        assert_null(o);
}

static void test_not_a_message(void **state)
{
        static const char *const cases[] = {
                "", "null", "{", "{} {}", "hello", "{'method':'a.B'}", "{\"method\":\"a\",\"method\":\"b\"}"};
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autobuf struct buf in = {0};
                struct error err = ERROR_INIT;
                struct json_object *o = NULL;

                buf_append(&in, cases[i], strlen(cases[i]) + 1);
                assert_int_equal(varlink_take(&in, &o, &err), -1);
                assert_int_equal(err.code, ERR_PROTOCOL);
                assert_string_not_equal(err.message, "");
                assert_null(o);
                assert_int_equal(varlink_take(&in, &o, NULL), -1);
        }
}

static void test_read_call(void **state)
{
        static const struct {
                const char *text, *says; /* NULL: fine */
        } cases[] = {
                {"{\"method\":\"a.B\"}", NULL},
                {"{\"method\":\"a.B\",\"parameters\":{\"x\":1},\"more\":true,\"oneway\":false,\"upgrade\":true}", NULL},
                {"{\"method\":\"a.B\",\"parameters\":null}", NULL},
                {"{}", "'method' is missing"},
                {"{\"method\":1}", "'method' must be a string"},
                {"{\"method\":\"a.B\",\"parameters\":[]}", "'parameters' must be an object"},
                {"{\"method\":\"a.B\",\"more\":1}", "'more' must be true or false"},
                {"{\"method\":\"a.B\",\"oneway\":\"true\"}", "'oneway' must be true or false"},
                {"{\"method\":\"a.B\",\"upgrade\":{}}", "'upgrade' must be true or false"},
                {"{\"method\":\"a.B\",\"extra\":1}", "'extra' is not a known field"},
                {"[]", "must be a JSON object"},
                {"1", "must be a JSON object"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autojson struct json_object *o = json_parse(cases[i].text, strlen(cases[i].text), NULL);
                struct varlink_call call = {.method = "untouched"};
                struct error err = ERROR_INIT;
                int r = varlink_read_call(o, &call, &err);

                assert_int_equal(r, cases[i].says ? -1 : 0);
                if (cases[i].says) {
                        autofree char *expected = xasprintf("not a Varlink call: %s", cases[i].says);
                        assert_string_equal(err.message, expected);
                        assert_int_equal(err.code, ERR_PROTOCOL);
                        assert_string_equal(call.method, "untouched");
                        assert_int_equal(varlink_read_call(o, &call, NULL), -1);
                } else {
                        assert_string_equal(call.method, "a.B");
                        assert_int_equal(call.more, i == 1);
                        assert_int_equal(call.upgrade, i == 1);
                        assert_false(call.oneway);
                        assert_int_equal(call.parameters != NULL, i == 1);
                }
        }
}

static void test_call_round_trip(void **state)
{
        (void)state;

        for (unsigned flags = 0; flags < 8; flags++) {
                autobuf struct buf wire = {0};
                struct json_object *parameters = json_new(), *o = NULL;
                struct varlink_call call;

                json_add_string(parameters, "name", "x");
                varlink_write_call(&wire, "org.initvm.Do", flags == 0 ? NULL : json_object_get(parameters), flags);
                assert_int_equal(varlink_take(&wire, &o, NULL), 1);
                assert_int_equal(buf_size(&wire), 0);
                assert_int_equal(varlink_read_call(o, &call, NULL), 0);
                assert_string_equal(call.method, "org.initvm.Do");
                assert_int_equal(call.more, (flags & VARLINK_MORE) != 0);
                assert_int_equal(call.oneway, (flags & VARLINK_ONEWAY) != 0);
                assert_int_equal(call.upgrade, (flags & VARLINK_UPGRADE) != 0);
                assert_int_equal(call.parameters != NULL, flags != 0);
                json_object_put(o);
                json_object_put(parameters);
        }
}

static void test_reply(void **state)
{
        static const struct {
                const char *text;
                int result;
                bool continues;
                enum error_code code;
                const char *says;
        } cases[] = {
                {"{}", 0, false, ERR_NONE, ""},
                {"{\"parameters\":{}}", 0, false, ERR_NONE, ""},
                {"{\"parameters\":{},\"continues\":true}", 0, true, ERR_NONE, ""},
                {"{\"error\":\"org.initvm.NotFound\",\"parameters\":{\"message\":\"no VM 'x'\"}}", -1, false, ERR_NOT_FOUND,
                 "no VM 'x'"},
                {"{\"error\":\"org.initvm.State\"}", -1, false, ERR_STATE, "org.initvm.State"},
                {"{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"a.B\"}}", -1, false, ERR_FAILED,
                 "org.varlink.service.MethodNotFound"},
                {"{\"error\":\"org.initvm.Ok\",\"parameters\":{\"message\":\"%s%n\"}}", -1, false, ERR_FAILED, "%s%n"},
                {"{\"continues\":1}", -1, false, ERR_PROTOCOL, "not a Varlink reply: 'continues' must be true or false"},
                {"{\"error\":{}}", -1, false, ERR_PROTOCOL, "not a Varlink reply: 'error' must be a string"},
                {"{\"method\":\"a.B\"}", -1, false, ERR_PROTOCOL, "not a Varlink reply: 'method' is not a known field"},
                {"[]", -1, false, ERR_PROTOCOL, "not a Varlink reply: must be a JSON object"},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autojson struct json_object *o = json_parse(cases[i].text, strlen(cases[i].text), NULL);
                struct json_object *parameters = NULL;
                struct error err = ERROR_INIT;
                bool continues = false;

                assert_non_null(o);
                assert_int_equal(varlink_read_reply(o, &parameters, &continues, &err), cases[i].result);
                assert_int_equal(err.code, cases[i].code);
                assert_string_equal(err.message, cases[i].says);
                assert_int_equal(continues, cases[i].continues);
                assert_int_equal(varlink_read_reply(o, NULL, NULL, NULL), cases[i].result);
        }
}

/* Every code and any bytes in the message: what QEMU or a build wrote may be quoted there. */
static void test_errors_round_trip(void **state)
{
        static const char *const texts[] = {"plain", "", "two\nlines\t\"quoted\" \\ \x1b[1m", "\xe2\x82\xac"};
        (void)state;

        for (int code = ERR_FAILED; code < _ERR_MAX; code++) {
                for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
                        autobuf struct buf wire = {0};
                        struct error sent = ERROR_INIT, got = ERROR_INIT;
                        struct json_object *o = NULL;

                        error_set(&sent, code, "%s", texts[t]);
                        varlink_write_error(&wire, &sent);
                        assert_int_equal(varlink_take(&wire, &o, &got), 1);
                        assert_int_equal(varlink_read_reply(o, NULL, NULL, &got), -1);
                        assert_int_equal(got.code, code);
                        assert_string_equal(got.message, texts[t]);
                        json_object_put(o);
                }
        }
        autobuf struct buf wire = {0};
        struct error sent = ERROR_INIT, got = ERROR_INIT;
        struct json_object *o = NULL;
        error_set(&sent, ERR_FAILED, "latin \xe4\xf6\xfc");
        varlink_write_error(&wire, &sent);
        assert_int_equal(varlink_take(&wire, &o, &got), 1);
        assert_int_equal(varlink_read_reply(o, NULL, NULL, &got), -1);
        assert_string_equal(got.message, "latin \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
        json_object_put(o);
}

static void test_reply_written(void **state)
{
        autobuf struct buf wire = {0};
        (void)state;

        varlink_write_reply(&wire, NULL, false);
        varlink_write_reply(&wire, json_new(), true);
        static const char expected[] = "{\"parameters\":{}}\0{\"parameters\":{},\"continues\":true}";
        assert_int_equal(buf_size(&wire), sizeof(expected));
        assert_memory_equal(buf_head(&wire), expected, sizeof(expected));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_split_anywhere), cmocka_unit_test(test_residual),
                cmocka_unit_test(test_oversize),       cmocka_unit_test(test_not_a_message),
                cmocka_unit_test(test_read_call),      cmocka_unit_test(test_call_round_trip),
                cmocka_unit_test(test_reply),          cmocka_unit_test(test_errors_round_trip),
                cmocka_unit_test(test_reply_written),
        };

        return cmocka_run_group_tests_name("varlink", tests, NULL, NULL);
}
