/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"

#include "base/file.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* The stages' names are short ("first-boot"): their times stand in one column. */
#define STAGE_COLUMN 14

void progress_init(struct progress *p, bool json)
{
        *p = (struct progress){.mode = json ? PROGRESS_JSON : PROGRESS_LINES, .percent = PERCENT_UNKNOWN};
        p->fd = json ? STDOUT_FILENO : STDERR_FILENO;
        if (!json && terminal_is_live(p->fd))
                p->mode = PROGRESS_LIVE;
        p->colours = *terminal_style(p->fd, STYLE_BOLD) != '\0';
        p->width = terminal_width(p->fd);
}

static void forget_stage(struct progress *p)
{
        free(take_ptr(p->stage));
        free(take_ptr(p->text));
        p->percent = PERCENT_UNKNOWN;
}

void progress_done(struct progress *p)
{
        forget_stage(p);
        buf_done(&p->out);
}

static char *safe(const char *text)
{
        struct buf b = {0};

        text_append_safe(&b, text, false);
        return buf_take_string(&b);
}

static void erase(struct progress *p)
{
        if (p->drawn)
                buf_printf(&p->out, CLEAR_LINE);
        p->drawn = false;
}

/* Whole seconds while it runs: tenths would only flicker. */
static void draw(struct progress *p, uint64_t now)
{
        autobuf struct buf line = {0};
        autofree char *text = NULL;

        if (p->mode != PROGRESS_LIVE || !p->stage)
                return;
        buf_printf(&line, "  %-*s %5" PRIu64 " s", STAGE_COLUMN, p->stage, (now - p->began) / 1000);
        if (p->percent != PERCENT_UNKNOWN)
                buf_printf(&line, "  %3" PRIu64 " %%", p->percent);
        if (p->text)
                buf_printf(&line, "  %s", p->text);
        text = buf_take_string(&line);
        buf_printf(&p->out, CLEAR_LINE);
        text_append_cut(&p->out, text, p->width > 1 ? p->width - 1 : 1); /* a full line would wrap */
        p->drawn = true;
}

static void begin_stage(struct progress *p, const char *stage, struct json_object *event, uint64_t now)
{
        forget_stage(p);
        p->stage = safe(stage);
        p->began = now - MIN(now, json_get_u64(event, "elapsed", 0));
}

static void end_stage(struct progress *p, uint64_t elapsed, const char *how)
{
        const char *red = p->colours ? STYLE_RED : "", *reset = p->colours ? STYLE_RESET : "";

        if (!p->stage)
                return;
        erase(p);
        if (p->mode == PROGRESS_LIVE)
                buf_printf(&p->out, "  %-*s %7.1f s", STAGE_COLUMN, p->stage, (double)elapsed / 1000);
        else
                buf_printf(&p->out, "%s: %.1f s", p->stage, (double)elapsed / 1000);
        if (how)
                buf_printf(&p->out, "  %s%s%s", red, how, reset);
        buf_append(&p->out, "\n", 1);
        forget_stage(p);
}

static void say(struct progress *p, const char *kind, const char *style, const char *text)
{
        autofree char *clean = safe(text);

        erase(p);
        buf_printf(&p->out, "initvm: %s%s%s%s\n", p->colours ? style : "", kind, p->colours && *style ? STYLE_RESET : "", clean);
}

static void stage_event(struct progress *p, const char *stage, struct json_object *event, uint64_t now)
{
        const char *state = json_get_string(event, "state", "update"), *text = json_get_string(event, "text", NULL);
        bool fresh = !p->stage || streq(state, "begin");
        autofree char *clean = safe(stage);

        if (p->stage && (!streq(p->stage, clean) || streq(state, "begin")))
                end_stage(p, now - p->began, NULL);
        fresh |= !p->stage;
        if (fresh)
                begin_stage(p, stage, event, now);
        if (streq(state, "end")) {
                end_stage(p, json_get_u64(event, "elapsed", now - p->began), NULL);
                return;
        }
        p->percent = json_get_u64(event, "percent", PERCENT_UNKNOWN);
        if (text) {
                free(p->text);
                p->text = safe(text);
        }
        if (fresh && p->mode == PROGRESS_LINES)
                buf_printf(&p->out, "%s%s%s\n", p->stage, p->text ? ": " : "", p->text ? p->text : "");
}

/* As the console has it: a line may come in pieces, and its progress bar is part of the show. */
static void show_console(struct progress *p, const char *text)
{
        autobuf struct buf lines = {0};
        autofree char *clean = NULL;

        for (; *text; text++)
                if (*text != '\r')
                        buf_append(&lines, text, 1);
        clean = buf_take_string(&lines);
        erase(p);
        text_append_safe(&p->out, clean, true);
}

void progress_event(struct progress *p, struct json_object *event, uint64_t now)
{
        const char *warning = json_get_string(event, "warning", NULL), *notice = json_get_string(event, "notice", NULL);
        const char *stage = json_get_string(event, "stage", NULL), *console = json_get_string(event, "console", NULL);

        if (p->mode == PROGRESS_JSON) {
                buf_printf(&p->out, "%s\n", json_line(event));
                return;
        }
        if (warning)
                say(p, "warning: ", STYLE_YELLOW, warning);
        if (notice)
                say(p, "", "", notice);
        if (console) {
                show_console(p, console);
                return; /* the live line would stand in the middle of it */
        }
        if (stage)
                stage_event(p, stage, event, now);
        draw(p, now);
}

void progress_tick(struct progress *p, uint64_t now)
{
        draw(p, now);
}

void progress_say(struct progress *p, const char *text, uint64_t now)
{
        if (p->mode == PROGRESS_JSON)
                return;
        say(p, "", "", text);
        draw(p, now);
}

void progress_end(struct progress *p, const char *how, uint64_t now)
{
        if (p->mode != PROGRESS_JSON)
                end_stage(p, now - p->began, how);
}

void progress_flush(struct progress *p)
{
        if (buf_size(&p->out) == 0)
                return;
        if (p->mode == PROGRESS_LIVE)
                p->width = terminal_width(p->fd);
        fd_write_all(p->fd, buf_head(&p->out), buf_size(&p->out));
        buf_consume(&p->out, buf_size(&p->out));
}
