/* SPDX-License-Identifier: MIT */
#include "cli/meter.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static char *line(const struct meter *m, unsigned width)
{
        struct buf b = {0};

        meter_line(m, width, &b);
        return buf_take_string(&b);
}

static void assert_line(const struct meter *m, const char *expected)
{
        autofree char *text = line(m, 200);

        assert_string_equal(text, expected);
}

static void test_known_total(void **state)
{
        struct meter m;
        (void)state;

        meter_init(&m, 1000);
        m.total = 100 << 20;
        assert_line(&m, "  [                    ]   0 %  0 B of 100 MiB  0 B/s");
        meter_sample(&m, 25 << 20, 2000);
        assert_line(&m, "  [#####               ]  25 %  25 MiB of 100 MiB  25 MiB/s  3 s left");
        meter_sample(&m, 100 << 20, 3000);
        assert_line(&m, "  [####################] 100 %  100 MiB of 100 MiB  50 MiB/s  0 s left");
        /* It was only about right. */
        meter_sample(&m, 200 << 20, 4000);
        assert_line(&m, "  [####################] 100 %  200 MiB of 200 MiB  67 MiB/s  0 s left");
}

static void test_unknown_total(void **state)
{
        struct meter m;
        (void)state;

        meter_init(&m, 0);
        meter_sample(&m, 3 << 20, 1000);
        assert_line(&m, "  3 MiB  3 MiB/s");
}

/* What was long ago does not count. */
static void test_rate_is_of_the_last_seconds(void **state)
{
        struct meter m;
        uint64_t now = 0, done = 0;
        (void)state;

        meter_init(&m, now);
        for (int i = 0; i < 40; i++)
                meter_sample(&m, done += 100 << 20, now += METER_TICK_MS);
        for (int i = 0; i < METER_SAMPLES; i++)
                meter_sample(&m, done += 1 << 20, now += METER_TICK_MS);
        autofree char *text = line(&m, 200);
        assert_non_null(strstr(text, "  4 MiB/s"));
}

static void test_stalled(void **state)
{
        struct meter m;
        (void)state;

        meter_init(&m, 0);
        m.total = 10 << 20;
        for (int i = 0; i < METER_SAMPLES; i++)
                meter_sample(&m, 1 << 20, 1000 + (uint64_t)i * METER_TICK_MS);
        assert_line(&m, "  [##                  ]  10 %  1 MiB of 10 MiB  0 B/s");
}

static void test_cut_to_the_terminal(void **state)
{
        struct meter m;
        (void)state;

        meter_init(&m, 0);
        m.total = 10 << 20;
        meter_sample(&m, 1 << 20, 1000);
        autofree char *text = line(&m, 30);
        assert_string_equal(text, "  [##                  ]  10 …");
}

static void test_summary(void **state)
{
        struct buf b = {0};
        struct meter m;
        (void)state;

        meter_init(&m, 1000);
        meter_sample(&m, 10 << 20, 3500);
        meter_summary(&m, &b);
        autofree char *text = buf_take_string(&b);
        assert_string_equal(text, "10 MiB in 2.5 s, 4 MiB/s");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_known_total),
                cmocka_unit_test(test_unknown_total),
                cmocka_unit_test(test_rate_is_of_the_last_seconds),
                cmocka_unit_test(test_stalled),
                cmocka_unit_test(test_cut_to_the_terminal),
                cmocka_unit_test(test_summary),
        };
        return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}
