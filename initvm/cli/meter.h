/* SPDX-License-Identifier: MIT */
/* How far a copy is: one line with a bar, the rate of the last seconds and the time that is left. Nothing here does input or
 * output. */
#pragma once

#include "base/util.h"

#include <stdint.h>

/* The rate is that of so many samples: with one each METER_TICK_MS, of four seconds. */
#define METER_SAMPLES 16
#define METER_TICK_MS 250

struct meter {
        uint64_t total; /* bytes; 0 when unknown. It may turn out to be a little wrong */
        uint64_t began; /* now_ms() */
        struct meter_sample {
                uint64_t at;
                uint64_t done;
        } samples[METER_SAMPLES]; /* a ring; samples[n % METER_SAMPLES] is the oldest once it is full */
        size_t n;
};

void meter_init(struct meter *m, uint64_t now);

/* `done` bytes have passed at `now`. */
void meter_sample(struct meter *m, uint64_t done, uint64_t now);

/* Appends the line for the last sample, at most `width` columns. */
void meter_line(const struct meter *m, unsigned width, struct buf *out);

/* Appends what is left to say at the end: "256 MiB in 3.1 s, 82 MiB/s". */
void meter_summary(const struct meter *m, struct buf *out);
