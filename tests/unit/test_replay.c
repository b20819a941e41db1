/* SPDX-License-Identifier: MIT */
#include "daemon/replay.h"

#include "base/util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct {
        const char *in, *out;
} cases[] = {
        {"plain text\r\n", "plain text\r\n"},
        {"", ""},
        /* what stays: colours, movement, modes, titles */
        {"\033[31mred\033[0m", "\033[31mred\033[0m"},
        {"\033[2J\033[1;1H", "\033[2J\033[1;1H"},
        {"\033[?2004h$ ", "\033[?2004h$ "},
        {"\033]0;title\007x", "\033]0;title\007x"},
        {"\033[!p", "\033[!p"},
        /* what goes: position, attributes, size, mode and colour queries */
        {"a\033[6nb", "ab"},
        {"a\033[5nb", "ab"},
        {"a\033[cb\033[>c", "ab"},
        {"a\033[18tb", "ab"},
        {"a\033[?2026$pb", "ab"},
        {"a\033]11;?\007b", "ab"},
        {"a\033]11;?\033\\b", "ab"},
        {"a\033P+q544e\033\\b", "ab"},
        {"\033[32766;32766H\033[6n", "\033[32766;32766H"},
        /* cut off at the end: stays as it is */
        {"x\033", "x\033"},
        {"x\033[6", "x\033[6"},
        {"x\033]11;?", "x\033]11;?"},
};

static void test_queries(void **state)
{
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                autofree char *data = xstrdup(cases[i].in);
                size_t n = replay_without_queries((uint8_t *)data, strlen(data));

                assert_int_equal(n, strlen(cases[i].out));
                assert_memory_equal(data, cases[i].out, n);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_queries)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
