/* SPDX-License-Identifier: MIT */
#include "chroot/mmdebstrap.h"

#include "archive/report.h"
#include "base/util.h"
#include "chroot/confine.h"
#include "chroot/confined_lines.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Under emulation a large set of packages takes an hour; it is meant for what hangs. */
#define MMDEBSTRAP_TIMEOUT_MS (6u * 3600 * 1000)

/* The last lines that an error quotes, when mmdebstrap gives no reason of its own. */
#define TAIL_SHOWN 4

struct saying {
        bool stages;
        char *reason; /* the first line "E: ..." */
        char *tail[TAIL_SHOWN];
        size_t n_tail;
};

static void stage_of(const char *line)
{
        static const struct {
                const char *begin, *stage, *text;
        } stages[] = {
                {"I: running apt-get update", "update", "reading the lists of packages"},
                {"I: downloading packages", "download", "downloading packages"},
                {"I: extracting archives", "extract", "extracting the essential packages"},
                {"I: installing essential packages", "essential", "installing the essential packages"},
                {"I: installing remaining packages", "packages", "installing the other packages"},
                {"I: cleaning package lists", "clean", "cleaning up"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
                if (str_has_prefix(line, stages[i].begin))
                        report_progress(STDERR_FILENO, stages[i].stage, stages[i].text);
}

/* What says no more than that it failed, or nothing at all. */
static bool is_noise(const char *line)
{
        static const char *const noise[] = {"I: ",
                                            "E: mmdebstrap failed",
                                            "E: apt-get ",
                                            "E: Some index files",
                                            "E: command failed",
                                            "Reading package lists"};

        for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
                if (str_has_prefix(line, noise[i]))
                        return true;
        return *line == '\0';
}

static void on_line(void *userdata, const char *line)
{
        struct saying *s = userdata;

        if (s->stages)
                stage_of(line);
        if (is_noise(line))
                return;
        if (!s->reason && str_has_prefix(line, "E: "))
                s->reason = xstrdup(line + strlen("E: "));
        free(s->tail[s->n_tail % TAIL_SHOWN]);
        s->tail[s->n_tail++ % TAIL_SHOWN] = xstrdup(line);
}

/* Its own reason first, then the lines before its end. */
static int explain(struct saying *s, struct error *err)
{
        struct buf b = {0};
        autofree char *text = NULL;

        for (size_t i = s->n_tail > TAIL_SHOWN ? s->n_tail - TAIL_SHOWN : 0; i < s->n_tail; i++) {
                const char *line = s->tail[i % TAIL_SHOWN];

                if (!s->reason || !strstr(line, s->reason))
                        buf_printf(&b, " | %s", line);
        }
        text = buf_take_string(&b);
        if (strstr(text, "No space left on device") || (s->reason && strstr(s->reason, "No space left on device")))
                return error_set(
                        err, ERR_NO_SPACE,
                        "no space is left on the VM's disk; remove chroots, or make it larger with 'initvm disk resize SIZE'");
        return error_set(err, ERR_FAILED, "mmdebstrap could not make the chroot: %s%s",
                         s->reason ? s->reason : "it gave no reason", text);
}

static int run(struct saying *s, char *const *argv, struct error *err)
{
        const struct confined_lines run = {.argv = argv, .timeout_ms = MMDEBSTRAP_TIMEOUT_MS, .line = on_line, .userdata = s};
        int status;

        if (confined_lines_run(&run, &status, err) < 0)
                return -1;
        if (status == CONFINED_NOT_EXECUTED)
                return error_set(err, ERR_UNSUPPORTED,
                                 "mmdebstrap could not be started; is it in the VM? It is in the package mmdebstrap");
        return status == 0 ? 0 : explain(s, err);
}

int mmdebstrap_run(char *const *argv, bool stages, struct error *err)
{
        struct saying s = {.stages = stages};
        int r = run(&s, argv, err);

        free(s.reason);
        for (size_t i = 0; i < TAIL_SHOWN; i++)
                free(s.tail[i]);
        return r;
}
