/* SPDX-License-Identifier: MIT */
/*
 * Shows the events of a long operation (type Progress of org.initvm).  On a terminal the stage under way is one line that is
 * drawn again and again, and finished ones stay above it; elsewhere it is one line when a stage begins and one when it ends;
 * for machines each event is one JSON object on a line.
 *
 * The events turn into bytes in `out`; only progress_flush() writes them.
 */
#pragma once

#include "base/json.h"
#include "base/util.h"

enum progress_mode { PROGRESS_LIVE, PROGRESS_LINES, PROGRESS_JSON };

struct progress {
        enum progress_mode mode;
        int fd;         /* where it goes: standard error, for JSON standard output */
        unsigned width; /* of the terminal */
        bool colours;
        struct buf out;
        char *stage; /* under way, or NULL */
        char *text;
        uint64_t percent; /* PERCENT_UNKNOWN */
        uint64_t began;   /* now_ms() */
        bool drawn;       /* the live line is on the screen */
};

#define PERCENT_UNKNOWN UINT64_MAX

void progress_init(struct progress *p, bool json);
void progress_done(struct progress *p);

/* `event` is a Progress object; `now` as of now_ms(). */
void progress_event(struct progress *p, struct json_object *event, uint64_t now);

/* Draws the live line again, so that its seconds go on. */
void progress_tick(struct progress *p, uint64_t now);

/* A line of ours between the events: "initvm: <text>". */
void progress_say(struct progress *p, const char *text, uint64_t now);

/* The operation is over. A stage that was under way is shown with `how` it ended ("failed"), or as finished when that is NULL. */
void progress_end(struct progress *p, const char *how, uint64_t now);

void progress_flush(struct progress *p);
