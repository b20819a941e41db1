/* SPDX-License-Identifier: MIT */
#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REFUSED UINT64_C(0xdead)

static void test_parse_u64(void **state)
{
        static const struct {
                const char *text;
                uint64_t min, max, expected;
        } cases[] = {
                {"0", 0, UINT64_MAX, 0},
                {"007", 0, UINT64_MAX, 7},
                {"18446744073709551615", 0, UINT64_MAX, UINT64_MAX},
                {"18446744073709551616", 0, UINT64_MAX, REFUSED}, /* the addition overflows */
                {"18446744073709551620", 0, UINT64_MAX, REFUSED}, /* the multiplication does */
                {"99999999999999999999999", 0, UINT64_MAX, REFUSED},
                {"5", 5, 7, 5},
                {"7", 5, 7, 7},
                {"4", 5, 7, REFUSED},
                {"8", 5, 7, REFUSED},
                {"", 0, 9, REFUSED},
                {" 1", 0, 9, REFUSED},
                {"1 ", 0, 9, REFUSED},
                {"+1", 0, 9, REFUSED},
                {"-1", 0, UINT64_MAX, REFUSED},
                {"0x1", 0, 99, REFUSED},
                {"1.0", 0, 99, REFUSED},
                {"1\n", 0, 99, REFUSED},
                {"\xc2\xb2", 0, 99, REFUSED},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t v = REFUSED;
                int r = parse_u64(cases[i].text, cases[i].min, cases[i].max, &v);

                assert_int_equal(v, cases[i].expected); /* untouched when refused */
                assert_int_equal(r, cases[i].expected == REFUSED ? -1 : 0);
        }
}

static void test_parse_size(void **state)
{
        static const struct {
                const char *text;
                uint64_t expected;
        } cases[] = {
                {"0", 0},
                {"1", 1},
                {"1K", 1024},
                {"1k", 1024},
                {"3M", 3u << 20},
                {"64G", UINT64_C(64) << 30},
                {"2t", UINT64_C(2) << 40},
                {"16777215T", UINT64_C(16777215) << 40},
                {"16777216T", REFUSED},
                {"18446744073709551615", UINT64_MAX},
                {"18014398509481983K", UINT64_C(18014398509481983) << 10},
                {"18014398509481984K", REFUSED},
                {"", REFUSED},
                {"K", REFUSED},
                {"1KK", REFUSED},
                {"1KB", REFUSED},
                {"1KiB", REFUSED},
                {"1 K", REFUSED},
                {"1.5G", REFUSED},
                {"-1G", REFUSED},
                {"1P", REFUSED},
                {"G1", REFUSED},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                uint64_t v = REFUSED;
                int r = parse_size(cases[i].text, &v);

                assert_int_equal(v, cases[i].expected);
                assert_int_equal(r, cases[i].expected == REFUSED ? -1 : 0);
        }
}

static void test_format_size(void **state)
{
        static const struct {
                uint64_t bytes;
                const char *expected;
        } cases[] = {
                {0, "0 B"},
                {1023, "1023 B"},
                {1024, "1 KiB"},
                {1229, "1.2 KiB"},
                {10 * 1024 + 600, "11 KiB"},
                {(1u << 20) - 1, "1.0 MiB"},
                {UINT64_C(370) << 20, "370 MiB"},
                {UINT64_C(64) << 30, "64 GiB"},
                {UINT64_C(3) << 50, "3072 TiB"},
                {UINT64_MAX, "16777216 TiB"},
        };
        const char *texts[4];
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_string_equal(format_size(cases[i].bytes), cases[i].expected);
        for (size_t i = 0; i < 4; i++)
                texts[i] = format_size(i + 1);
        for (size_t i = 0; i < 4; i++) /* four in one message */
                assert_int_equal(texts[i][0], '1' + (int)i);
}

static void test_vm_name(void **state)
{
        static const struct {
                const char *name;
                bool valid;
        } cases[] = {
                {"a", true},
                {"0", true},
                {"build-1_x.Y", true},
                {"abcdefghijklmnopqrstuvwxyz012345", true},
                {"abcdefghijklmnopqrstuvwxyz0123456", false},
                {"", false},
                {".", false},
                {"..", false},
                {"-rf", false},
                {"_x", false},
                {".hidden", false},
                {"a/b", false},
                {"a b", false},
                {"a\n", false},
                {"a'b", false},
                {"a&b", false},
                {"\xc3\xa4", false},
                {"a\xc3\xa4", false},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(vm_name_valid(cases[i].name), cases[i].valid);
}

static void test_utf8(void **state)
{
        static const struct {
                const char *bytes;
                size_t n, expected;
        } cases[] = {
                {"a", 1, 1},
                {"\0", 1, 1},
                {"\x7f", 1, 1},
                {"\xc2\x80", 2, 2},
                {"\xdf\xbf", 2, 2},
                {"\xe0\xa0\x80", 3, 3},
                {"\xed\x9f\xbf", 3, 3},
                {"\xee\x80\x80", 3, 3},
                {"\xf0\x90\x80\x80", 4, 4},
                {"\xf4\x8f\xbf\xbf", 4, 4},
                {"\x80", 1, 0},
                {"\xc0\x80", 2, 0}, /* NUL, the long way */
                {"\xc1\xbf", 2, 0},
                {"\xe0\x9f\xbf", 3, 0},
                {"\xed\xa0\x80", 3, 0}, /* a surrogate */
                {"\xf0\x8f\xbf\xbf", 4, 0},
                {"\xf4\x90\x80\x80", 4, 0}, /* above U+10FFFF */
                {"\xf5\x80\x80\x80", 4, 0},
                {"\xff", 1, 0},
                {"\xc3", 1, 0},
                {"\xe2\x82", 2, 0},
                {"\xf0\x9f\x98", 3, 0},
                {"\xc3\x28", 2, 0},
                {"\xe2\x82\x28", 3, 0},
                {"\xf0\x9f\x98\x28", 4, 0},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *copy = xcalloc(cases[i].n, 1); /* exact: ASan sees a read too far */

                memcpy(copy, cases[i].bytes, cases[i].n);
                assert_int_equal(utf8_length(copy, cases[i].n), cases[i].expected);
        }
}

static void test_strv(void **state)
{
        autostrv char **v = NULL, **fields = NULL, **none = NULL;
        autofree char *joined = NULL, *empty = NULL;
        (void)state;

        assert_int_equal(strv_length(NULL), 0);
        assert_false(strv_contains(NULL, "x"));
        strv_add(&v, "one");
        strv_push(&v, xstrdup(""));
        strv_addf(&v, "%d", 3);
        assert_int_equal(strv_length(v), 3);
        assert_null(v[3]);
        assert_true(strv_contains(v, ""));
        assert_false(strv_contains(v, "on"));
        joined = strv_join(v, ", ");
        assert_string_equal(joined, "one, , 3");
        empty = strv_join(NULL, ",");
        assert_string_equal(empty, "");
        fields = strv_split(",,a b,,c,", ", ");
        assert_int_equal(strv_length(fields), 3);
        assert_string_equal(fields[0], "a");
        assert_string_equal(fields[1], "b");
        assert_string_equal(fields[2], "c");
        none = strv_split("", ",");
        assert_non_null(none);
        assert_null(none[0]);
}

static void test_strings(void **state)
{
        (void)state;

        assert_true(str_has_prefix("abc", ""));
        assert_true(str_has_prefix("abc", "abc"));
        assert_false(str_has_prefix("abc", "abcd"));
        assert_true(str_has_suffix("a.json", ".json"));
        assert_true(str_has_suffix("abc", ""));
        assert_false(str_has_suffix("json", ".json"));
        assert_false(streq(NULL, NULL));
        assert_false(streq("a", NULL));
        assert_true(streq("a", "a"));
}

/* Against a plain array: appended and consumed in changing pieces, nothing may move or vanish. */
static void test_buf(void **state)
{
        autobuf struct buf b = {0};
        uint8_t next_in = 0, next_out = 0;
        size_t expected = 0;
        unsigned seed = 1;
        (void)state;

        assert_null(buf_head(&b));
        buf_append(&b, NULL, 0);
        for (int round = 0; round < 2000; round++) {
                size_t in = (seed = seed * 1103515245u + 12345u) >> 16 & 0x1ff, out;
                uint8_t piece[512];

                for (size_t i = 0; i < in; i++)
                        piece[i] = next_in++;
                if (round % 2) {
                        buf_append(&b, piece, in);
                } else {
                        memcpy(buf_reserve(&b, in), piece, in);
                        buf_commit(&b, in);
                }
                expected += in;
                assert_int_equal(buf_size(&b), expected);
                out = (seed = seed * 1103515245u + 12345u) >> 16 & 0x1ff;
                out = MIN(out, expected);
                for (size_t i = 0; i < out; i++)
                        assert_int_equal(buf_head(&b)[i], next_out++);
                buf_consume(&b, out);
                expected -= out;
        }
        assert_true(b.allocated < 1u << 20); /* what was consumed is used again */
        buf_consume(&b, buf_size(&b));
        buf_printf(&b, "%s-%d", "x", 7);
        autofree char *s = buf_take_string(&b);
        assert_string_equal(s, "x-7");
        assert_int_equal(buf_size(&b), 0);
        autofree char *nothing = buf_take_string(&b);
        assert_string_equal(nothing, "");
}

static void test_ownership(void **state)
{
        autofree char *s = xstrdup("x");
        char *taken = take_ptr(s);
        int fd = 7;
        (void)state;

        assert_null(s);
        assert_string_equal(taken, "x");
        free(taken);
        assert_int_equal(take_fd(&fd), 7);
        assert_int_equal(fd, -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_u64), cmocka_unit_test(test_parse_size), cmocka_unit_test(test_format_size),
                cmocka_unit_test(test_vm_name),   cmocka_unit_test(test_utf8),       cmocka_unit_test(test_strv),
                cmocka_unit_test(test_strings),   cmocka_unit_test(test_buf),        cmocka_unit_test(test_ownership),
        };

        return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
