/* SPDX-License-Identifier: MIT */
/* The rate of the time stamp counter against one that is measured here, over another and longer time. */
#include "base/util.h"
#include "daemon/tsc.h"

#include <poll.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void test_rate(void **state)
{
        (void)state;

        assert_int_equal(tsc_khz(), 0); /* nothing was measured */
        tsc_begin();
        poll(NULL, 0, 10);
#if defined(__x86_64__)
        uint64_t begin = __builtin_ia32_rdtsc(), begin_ms = now_ms(), ms, measured;

        poll(NULL, 0, 200);
        ms = now_ms() - begin_ms; /* one of two hundred may be missing or too many */
        measured = (__builtin_ia32_rdtsc() - begin) / ms;
        assert_in_range(tsc_khz(), measured - measured / 50, measured + measured / 50);
#else
        assert_int_equal(tsc_khz(), 0);
#endif
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_rate)};

        return cmocka_run_group_tests_name("tsc", tests, NULL, NULL);
}
