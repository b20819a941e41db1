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
        assert_true(agent_version_will_do(&v, "1.22.3"));
}

static void test_verdict(void **state)
{
        static const struct {
                const char *output;
                bool parses, will_do; /* for 0.10.0 */
        } cases[] = {
                {"initvm-agent 0.10.0 (protocol 1 to 1)\n", true, true},
                {"initvm-agent 0.10.0 (protocol 1 to 7)\n", true, true},
                {"initvm-agent 0.10.0\n", true, true}, /* of before it said its protocol */
                {"initvm-agent 0.10.1 (protocol 1 to 1)\n", true, true},
                {"initvm-agent 1.0.0 (protocol 1 to 1)\n", true, true},
                {"initvm-agent 0.9.99 (protocol 1 to 1)\n", true, false},
                {"initvm-agent 0.1.0\n", true, false},
                {"initvm-agent 0.10.0 (protocol 2 to 3)\n", true, false}, /* speaks nothing that we speak */
                {"Welcome!\r\ninitvm-agent 0.10.0 (protocol 1 to 1)\r\n", true, true},
                {"", false, false},
                {"bash: initvm-agent: command not found\n", false, false},
                {"initvm-agent\n", false, false},
                {"initvm-agent 0.10\n", false, false},
                {"initvm-agent 0.10.0 (protocol one)\n", false, false},
                {"xinitvm-agent 0.10.0 (protocol 1 to 1)\n", false, false},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct agent_version v;
                bool parses = agent_version_parse(cases[i].output, &v) == 0;
                if (parses != cases[i].parses || (parses && agent_version_will_do(&v, "0.10.0") != cases[i].will_do))
                        fail_msg("wrong verdict on '%s'", cases[i].output);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_own_line), cmocka_unit_test(test_verdict)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
