/* SPDX-License-Identifier: MIT */
#include "wire/agent_version.h"

#include "base/util.h"

#include <setjmp.h>

#include <cmocka.h>

static void test_own_line(void **state)
{
        struct agent_version v;
        (void)state;

        assert_return_code(agent_version_parse(agent_version_line("1.22.3"), &v), 0);
        assert_int_equal(v.part[0], 1);
        assert_int_equal(v.part[1], 22);
        assert_int_equal(v.part[2], 3);
        assert_int_equal(v.protocol_min, AGENT_PROTOCOL_MIN);
        assert_int_equal(v.protocol_max, AGENT_PROTOCOL_MAX);
        assert_int_equal(agent_version_judge(&v, "1.22.3"), AGENT_USE);
}

static void test_verdict(void **state)
{
        static const struct {
                const char *output;
                bool parses;
                enum agent_verdict verdict; /* for 0.10.0 */
        } cases[] = {
                {"initvm-agent 0.10.0 (protocol 1 to 1)\n", true, AGENT_USE},
                {"initvm-agent 0.10.0 (protocol 1 to 7)\n", true, AGENT_USE},
                {"initvm-agent 0.10.0\n", true, AGENT_USE}, /* of before it said its protocol */
                {"initvm-agent 0.10.1 (protocol 1 to 1)\n", true, AGENT_USE},
                {"initvm-agent 1.0.0 (protocol 1 to 1)\n", true, AGENT_USE},
                {"initvm-agent 0.9.99 (protocol 1 to 1)\n", true, AGENT_USE_UPDATE},
                {"initvm-agent 0.1.0\n", true, AGENT_USE_UPDATE},
                {"initvm-agent 0.10.0 (protocol 2 to 3)\n", true, AGENT_TOO_NEW},
                {"initvm-agent 0.9.0 (protocol 0 to 0)\n", true, AGENT_UPDATE_FIRST},
                {"Welcome!\r\ninitvm-agent 0.10.0 (protocol 1 to 1)\r\n", true, AGENT_USE},
                {"", false, AGENT_USE},
                {"bash: initvm-agent: command not found\n", false, AGENT_USE},
                {"initvm-agent\n", false, AGENT_USE},
                {"initvm-agent 0.10\n", false, AGENT_USE},
                {"initvm-agent 0.10.0 (protocol one)\n", false, AGENT_USE},
                {"xinitvm-agent 0.10.0 (protocol 1 to 1)\n", false, AGENT_USE},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct agent_version v;
                bool parses = agent_version_parse(cases[i].output, &v) == 0;
                if (parses != cases[i].parses || (parses && agent_version_judge(&v, "0.10.0") != cases[i].verdict))
                        fail_msg("wrong verdict on '%s'", cases[i].output);
        }
}

static void test_hello(void **state)
{
        struct agent_version v;
        (void)state;

        assert_return_code(agent_version_read("0.10.0", 1, 2, &v), 0);
        assert_int_equal(v.part[1], 10);
        assert_int_equal(v.protocol_max, 2);
        assert_int_equal(agent_version_read("0.10.0", 2, 1, &v), -1);
        assert_int_equal(agent_version_read("", 1, 1, &v), -1);
        assert_int_equal(agent_version_read("0.10.0", 1, 1ull << 32, &v), -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_own_line), cmocka_unit_test(test_verdict),
                                           cmocka_unit_test(test_hello)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
