/* SPDX-License-Identifier: MIT */
#include "daemon/installer_watch.h"

#include "base/util.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line that is longer is cut: it is looked at and shown, not kept as data. */
#define LINE_KEPT 1000

/* What a message quotes: of a question its beginning, for the longest have a hundred choices, and the last lines of the log. */
#define CONSOLE_LINES 24
#define LOG_LINES     8

#define PROMPT      "Prompt: "
#define PROMPT_END  "> "
#define PRESS_ENTER "[Press enter to continue]"
#define PROGRESS    " ... "
#define PANIC       "Kernel panic - not syncing: "
#define POWER_OFF   "reboot: Power down"

/* What the steps of main-menu, which are named after their packages, are to people. A step that is not here has its own name. */
static const struct {
        const char *item, *stage;
} stages[] = {
        {"localechooser", "settings"},
        {"brltty-udeb", "settings"},
        {"console-setup-udeb", "settings"},
        {"ethdetect", "network"},
        {"netcfg", "network"},
        {"choose-mirror", "network"},
        {"download-installer", "components"},
        {"user-setup-udeb", "users-clock"},
        {"clock-setup", "users-clock"},
        {"tzsetup-udeb", "users-clock"},
        {"disk-detect", "disks"},
        {"partman-base", "partitions"},
        {"bootstrap-base", "base-system"},
        {"base-installer", "base-system"},
        {"apt-setup-udeb", "apt"},
        {"pkgsel", "packages"},
        {"grub-installer", "boot-loader"},
        {"finish-install", "finish"},
};

/* The last lines of a port: a ring. */
struct lines {
        char *kept[CONSOLE_LINES];
        size_t n; /* ever */
};

struct installer_watch {
        enum installer_state state;
        struct buf console, log; /* the line that is not complete yet */
        struct lines console_lines, log_lines;
        char *stage, *text, *why;
        int percent;
        unsigned changes, n_stage;
        bool headed;    /* the console's lines begin with a heading: what follows is one question */
        char *input;    /* the question of the last INPUT, until its reply */
        char *question; /* that will be asked by the next GO */
        bool message;   /* what is waited for is somebody to read it */
        bool completed; /* the new system */
};

static void lines_add(struct lines *l, const char *line)
{
        char **slot = &l->kept[l->n++ % CONSOLE_LINES];

        free(*slot);
        *slot = xstrdup(line);
}

static void lines_clear(struct lines *l)
{
        for (size_t i = 0; i < CONSOLE_LINES; i++)
                free(take_ptr(l->kept[i]));
        l->n = 0;
}

/* The last `count` of them, each with its line end. */
static char *lines_text(const struct lines *l, size_t count)
{
        autobuf struct buf b = {0};
        size_t n = MIN(MIN(l->n, count), (size_t)CONSOLE_LINES);

        for (size_t i = l->n - n; i < l->n; i++)
                buf_printf(&b, "%s\n", l->kept[i % CONSOLE_LINES]);
        return buf_take_string(&b);
}

struct installer_watch *installer_watch_new(void)
{
        struct installer_watch *w = xcalloc(1, sizeof(*w));

        w->stage = xstrdup("boot");
        w->text = xstrdup("");
        w->percent = -1;
        return w;
}

void installer_watch_free(struct installer_watch *w)
{
        if (!w)
                return;
        buf_done(&w->console);
        buf_done(&w->log);
        lines_clear(&w->console_lines);
        lines_clear(&w->log_lines);
        free(w->stage);
        free(w->text);
        free(w->why);
        free(w->input);
        free(w->question);
        free(w);
}

static void fail(struct installer_watch *w, char *owned_why)
{
        if (w->state == INSTALLER_FAILED || w->state == INSTALLER_OFF) {
                free(owned_why);
                return;
        }
        w->state = INSTALLER_FAILED;
        w->why = owned_why;
}

static void set_stage(struct installer_watch *w, const char *name)
{
        if (streq(w->stage, name))
                return;
        free(w->stage);
        w->stage = xstrdup(name);
        free(w->text);
        w->text = xstrdup("");
        w->percent = -1;
        w->changes++;
        w->n_stage++;
}

static void set_progress(struct installer_watch *w, char *owned_text, int percent)
{
        if (streq(w->text, owned_text) && w->percent == percent) {
                free(owned_text);
                return;
        }
        free(w->text);
        w->text = owned_text;
        w->percent = percent;
        w->changes++;
}

/* ---- the console */

/* "Loading additional components  ... 0%... 3%... 7%": the last number that is complete counts. */
static bool read_progress(struct installer_watch *w, const char *line)
{
        const char *dots = strstr(line, PROGRESS), *percent = strrchr(line, '%');
        const char *digits = percent;
        size_t n = dots ? (size_t)(dots - line) : 0;
        autofree char *number = NULL;
        uint64_t value;

        if (!dots || !percent || percent < dots)
                return false;
        while (digits > dots && isdigit((unsigned char)digits[-1]))
                digits--;
        number = xstrndup(digits, (size_t)(percent - digits));
        if (parse_u64(number, 0, 100, &value) < 0)
                return false;
        while (n > 0 && line[n - 1] == ' ')
                n--;
        set_progress(w, xstrndup(line, n), (int)value);
        return true;
}

static bool is_prompt(const char *line)
{
        return strstr(line, PRESS_ENTER) || (str_has_prefix(line, PROMPT) && str_has_suffix(line, PROMPT_END));
}

/* Headings are underlined. */
static bool is_underline(const char *line)
{
        return str_has_prefix(line, "---") && line[strspn(line, "-")] == '\0';
}

static void add_console_line(struct installer_watch *w, const char *line)
{
        struct lines *l = &w->console_lines;

        if (is_underline(line) && l->n > 0) {
                autofree char *heading = xstrdup(l->kept[(l->n - 1) % CONSOLE_LINES]);

                lines_clear(l);
                lines_add(l, heading);
                w->headed = true;
        }
        if (!w->headed || l->n < CONSOLE_LINES)
                lines_add(l, line);
}

/* A line, complete or so far. What is on the screen since the last progress belongs to the question that may follow. */
static void look_at_console(struct installer_watch *w, const char *line, bool whole)
{
        const char *panic = strstr(line, PANIC);

        if (panic && whole) {
                fail(w, xasprintf("the installer's kernel panicked: %s", panic + strlen(PANIC)));
        } else if (strstr(line, POWER_OFF) && w->completed && w->state == INSTALLER_RUNNING) {
                w->state = INSTALLER_OFF;
        } else if (is_prompt(line)) {
                if (w->state == INSTALLER_RUNNING) {
                        w->state = INSTALLER_ASKS;
                        w->message = strstr(line, PRESS_ENTER) != NULL;
                }
        } else if (read_progress(w, line)) {
                lines_clear(&w->console_lines);
                w->headed = false;
        } else if (whole) {
                add_console_line(w, line);
        }
}

/* ---- the log */

/* What follows `mark` up to a blank or quote, owned; NULL when it is not there. */
static char *word_after(const char *line, const char *mark)
{
        const char *s = strstr(line, mark);

        return s ? xstrndup(s + strlen(mark), strcspn(s + strlen(mark), " '")) : NULL;
}

/* "--> INPUT PRIORITY NAME", "<-- 0 question will be asked" or "<-- 30 question skipped", "--> GO". */
static void look_at_debconf(struct installer_watch *w, const char *talk)
{
        if (str_has_prefix(talk, "--> INPUT ")) {
                const char *name = strrchr(talk, ' ');

                free(w->input);
                w->input = xstrdup(name + 1);
        } else if (str_has_prefix(talk, "<-- ") && w->input) {
                if (str_has_prefix(talk, "<-- 0")) {
                        free(w->question);
                        w->question = take_ptr(w->input);
                }
                free(take_ptr(w->input));
        } else if (str_has_prefix(talk, "<-- ") && w->question && w->state == INSTALLER_RUNNING) {
                free(take_ptr(w->question)); /* GO was answered: it was not for anybody to see */
        }
}

/* What partman-auto says before it leaves the preseed's recipe aside, and asks which one of its own it shall take (its
 * lib/recipes.sh). */
static void look_at_space(struct installer_watch *w, const char *line)
{
        const char *told = strstr(line, " partman-auto: Available disk space (");
        unsigned long long has, needs;

        if (told &&
            sscanf(told, " partman-auto: Available disk space (%llu) too small for expert recipe (%llu)", &has, &needs) == 2)
                fail(w, xasprintf("the disk has %llu MB, and the preseed's partitions need %llu MB: make it larger with --size",
                                  has, needs));
}

static void look_at_log(struct installer_watch *w, const char *line)
{
        const char *talk = strstr(line, " debconf: ");
        autofree char *item = NULL;

        if (talk) {
                look_at_debconf(w, talk + strlen(" debconf: "));
                return;
        }
        lines_add(&w->log_lines, line);
        look_at_space(w, line);
        if (str_has_suffix(line, " initvm: complete"))
                w->completed = true;
        else if (str_has_suffix(line, " initvm: failed"))
                fail(w, xstrdup("the new system could not be completed for initvm"));
        item = strstr(line, " main-menu[") && str_has_suffix(line, " selected") ? word_after(line, "Menu item '") : NULL;
        for (size_t i = 0; item && i < ARRAY_SIZE(stages); i++)
                if (streq(stages[i].item, item)) {
                        set_stage(w, stages[i].stage);
                        return;
                }
        if (item)
                set_stage(w, item);
}

/* ---- bytes into lines */

/* The line so far: printable, and not too long. */
static char *line_of(const struct buf *b, size_t n)
{
        char *line = n > 0 ? xstrndup((const char *)buf_head(b), MIN(n, (size_t)LINE_KEPT)) : xstrdup("");

        for (char *c = line; *c; c++)
                if (iscntrl((unsigned char)*c) || (unsigned char)*c >= 0x80)
                        *c = *c == '\t' ? ' ' : '?';
        return line;
}

static void push(struct installer_watch *w, struct buf *b, const void *data, size_t n)
{
        const char *s = data, *end = s + n;

        while (s < end) {
                size_t part = 0;

                while (s + part < end && s[part] != '\n' && s[part] != '\r')
                        part++;
                buf_append(b, s, part);
                s += part;
                if (s < end || buf_size(b) > LINE_KEPT) {
                        autofree char *line = line_of(b, buf_size(b));

                        buf_consume(b, buf_size(b));
                        if (*line && b == &w->console)
                                look_at_console(w, line, true);
                        else if (*line)
                                look_at_log(w, line);
                        s += s < end;
                }
        }
}

void installer_watch_console(struct installer_watch *w, const void *data, size_t n)
{
        autofree char *rest = NULL;

        push(w, &w->console, data, n);
        rest = line_of(&w->console, buf_size(&w->console));
        if (*rest)
                look_at_console(w, rest, false);
}

void installer_watch_log(struct installer_watch *w, const void *data, size_t n)
{
        push(w, &w->log, data, n);
}

/* ---- what it knows */

enum installer_state installer_watch_state(const struct installer_watch *w)
{
        return w->state;
}

void installer_watch_progress(const struct installer_watch *w, struct installer_progress *ret)
{
        *ret = (struct installer_progress){
                .stage = w->stage, .text = w->text, .percent = w->percent, .changes = w->changes, .n_stage = w->n_stage};
}

const char *installer_watch_question(const struct installer_watch *w)
{
        return w->question;
}

char *installer_watch_words(const struct installer_watch *w)
{
        return lines_text(&w->console_lines, CONSOLE_LINES);
}

bool installer_watch_is_message(const struct installer_watch *w)
{
        return w->message;
}

const char *installer_watch_why(const struct installer_watch *w)
{
        return w->why;
}

char *installer_watch_log_tail(const struct installer_watch *w)
{
        return lines_text(&w->log_lines, LOG_LINES);
}
