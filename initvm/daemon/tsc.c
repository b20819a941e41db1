/* SPDX-License-Identifier: MIT */
#include "daemon/tsc.h"

#include "base/util.h"

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>

/* Of so many readings the one that took least is taken, and it is some hundred nanoseconds off at worst: ... */
#define TRIES 8

/* ... one ten-thousandth of this. */
#define MEASURE_MIN_NS (5u * 1000 * 1000)

struct mark {
        uint64_t ticks, ns;
};

static struct mark begun;

/* Both at one time, as nearly as can be. */
static struct mark mark_now(void)
{
        struct mark best = {0};
        uint64_t shortest = UINT64_MAX;

        for (int i = 0; i < TRIES; i++) {
                uint64_t before = __rdtsc(), after;
                struct timespec t;

                clock_gettime(CLOCK_MONOTONIC_RAW, &t);
                after = __rdtsc();
                if (after - before < shortest) {
                        shortest = after - before;
                        best = (struct mark){before + shortest / 2, (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec};
                }
        }
        return best;
}

void tsc_begin(void)
{
        begun = mark_now();
}

unsigned tsc_khz(void)
{
        struct mark now = mark_now();
        uint64_t ns = now.ns - begun.ns;

        if (begun.ns == 0 || ns < MEASURE_MIN_NS)
                return 0;
        return (unsigned)((double)(now.ticks - begun.ticks) * 1e6 / (double)ns);
}
#else
void tsc_begin(void)
{
}

unsigned tsc_khz(void)
{
        return 0;
}
#endif
