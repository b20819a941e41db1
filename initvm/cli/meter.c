/* SPDX-License-Identifier: MIT */
#include "cli/meter.h"

#include "cli/text.h"

#include <inttypes.h>
#include <stdlib.h>

#define BAR_WIDTH 20

void meter_init(struct meter *m, uint64_t now)
{
        *m = (struct meter){.began = now};
        meter_sample(m, 0, now);
}

void meter_sample(struct meter *m, uint64_t done, uint64_t now)
{
        m->samples[m->n++ % METER_SAMPLES] = (struct meter_sample){now, done};
}

static const struct meter_sample *last(const struct meter *m)
{
        return &m->samples[(m->n - 1) % METER_SAMPLES];
}

/* Bytes a second between two samples; 0 when no time has passed. */
static uint64_t rate(const struct meter_sample *from, const struct meter_sample *to)
{
        return to->at > from->at ? (to->done - from->done) * 1000 / (to->at - from->at) : 0;
}

static void append_bar(uint64_t part, uint64_t whole, struct buf *out)
{
        char bar[BAR_WIDTH + 1] = {0};

        for (uint64_t i = 0; i < BAR_WIDTH; i++)
                bar[i] = i * whole < part * BAR_WIDTH ? '#' : ' ';
        buf_printf(out, "[%s] %3" PRIu64 " %%  ", bar, part * 100 / whole);
}

void meter_line(const struct meter *m, unsigned width, struct buf *out)
{
        const struct meter_sample *now = last(m), *then = &m->samples[m->n > METER_SAMPLES ? m->n % METER_SAMPLES : 0];
        uint64_t per_second = rate(then, now), total = MAX(m->total, now->done);
        struct buf line = {0};
        autofree char *text = NULL;

        buf_printf(&line, "  ");
        if (m->total)
                append_bar(now->done, total, &line);
        buf_printf(&line, "%s", format_size(now->done));
        if (m->total)
                buf_printf(&line, " of %s", format_size(total));
        buf_printf(&line, "  %s/s", format_size(per_second));
        if (m->total && per_second > 0) {
                autofree char *left = text_duration((total - now->done) * 1000 / per_second);
                buf_printf(&line, "  %s left", left);
        }
        text = buf_take_string(&line);
        text_append_cut(out, text, width);
}

void meter_summary(const struct meter *m, struct buf *out)
{
        const struct meter_sample begin = {m->began, 0}, *end = last(m);

        buf_printf(out, "%s in %.1f s, %s/s", format_size(end->done), (double)(end->at - m->began) / 1000,
                   format_size(rate(&begin, end)));
}
