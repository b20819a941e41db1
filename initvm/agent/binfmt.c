/* SPDX-License-Identifier: MIT */
/*
 * A row per architecture goes through the same steps, whatever was asked: what is registered, is it good, mend it, prove it.  A
 * proof that was made in this boot for the very same entry is not repeated, unless it is asked for.  Those that work at the same
 * time wait for one another, by a lock.
 */
#include "agent/binfmt.h"

#include "agent/binfmt_look.h"
#include "agent/info.h"
#include "agent/proof_run.h"
#include "archive/report.h"
#include "base/file.h"

#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* For everything: systemd-binfmt, the proofs, somebody else with the lock. All of it takes seconds in an emulated guest. */
#define DEADLINE_S 120

/* At the start of the guest nobody waits for it, and others want the CPU; but it must not starve, or proofs would be late. */
#define NICE_AT_START 5

#define STATE_SIZE_MAX (64u * 1024)

#define NO_EMULATOR "no emulator: install qemu-user-static in the VM"

struct row {
        const struct architecture *a;
        const struct binfmt_found *found; /* NULL: none */
        const char *state;                /* "proven", "failed", "absent" */
        char *proof;
        bool native; /* not registered, and to be tried without an emulator */
};

enum mode { MODE_START, MODE_LIST, MODE_TEST, MODE_SHOW };

struct work {
        enum mode mode;
        char **names; /* as they were asked for; NULL: all */
        struct row *rows;
        size_t n;
        struct binfmt_look look;
        struct json_object *before; /* what the last one has found, or NULL */
};

static bool is_asked_for(const struct work *w, const struct row *row)
{
        for (char **name = w->names; name && *name; name++)
                if (architecture_find(*name) == row->a)
                        return true;
        return !w->names;
}

/* ---- what is there, and mending it */

static int look(struct work *w, struct error *err)
{
        binfmt_look_done(&w->look);
        if (binfmt_look(&w->look, err) < 0)
                return -1;
        for (size_t i = 0; i < w->n; i++) {
                w->rows[i].found = binfmt_look_find(&w->look, w->rows[i].a);
                w->rows[i].native = !w->rows[i].found && architecture_maybe_native(w->rows[i].a, agent_architecture);
        }
        return 0;
}

/* Only root can; whoever else asks sees what is there. */
static int mend(struct work *w, struct error *err)
{
        const struct architecture **bad = xcalloc(w->n, sizeof(*bad));
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < w->n && geteuid() == 0; i++) {
                const struct row *row = &w->rows[i];
                autofree char *masked = binfmt_masked(row->a);

                if (!masked && !row->native && !(row->found && binfmt_entry_good(&row->found->entry)))
                        bad[n++] = row->a;
        }
        if (n > 0)
                r = binfmt_register(bad, n, err);
        free(bad);
        return r == 0 && n > 0 ? look(w, err) : r;
}

/* ---- proofs */

static void set(struct row *row, const char *state, char *owned_proof)
{
        free(row->proof);
        row->state = state;
        row->proof = owned_proof;
}

/* The row that the last one wrote for the same entry, if it was proven. */
static struct json_object *proven_before(const struct work *w, const struct row *row)
{
        const char *interpreter = row->found ? row->found->entry.interpreter : "",
                   *flags = row->found ? row->found->entry.flags : "";

        for (size_t i = 0; w->before && i < json_object_array_length(w->before); i++) {
                struct json_object *o = json_object_array_get_idx(w->before, i);

                if (streq(json_get_string(o, "architecture", ""), row->a->name) &&
                    streq(json_get_string(o, "interpreter", ""), interpreter) && streq(json_get_string(o, "flags", ""), flags) &&
                    streq(json_get_string(o, "state", ""), "proven"))
                        return o;
        }
        return NULL;
}

static void set_absent(struct row *row)
{
        autofree char *masked = binfmt_masked(row->a);

        set(row, "absent", masked ? xasprintf("'%s' masks it; remove that link if it is wanted", masked) : xstrdup(NO_EMULATOR));
}

static void set_proven(struct row *row, struct proof_run *run)
{
        bool good = !row->found || binfmt_entry_good(&row->found->entry);

        if (run->proven && !good)
                set(row, "failed",
                    xasprintf("it runs, but its entry has the flags '%s' and not " BINFMT_FLAGS "; see 'initvm binfmt show %s'",
                              row->found->entry.flags, row->a->name));
        else
                set(row, run->proven ? "proven" : "failed", take_ptr(run->text));
        free(take_ptr(run->text));
}

static void prove(struct work *w)
{
        struct proof_run *runs = xcalloc(w->n, sizeof(*runs));
        struct row **of = xcalloc(w->n, sizeof(struct row *));
        size_t n = 0;

        for (size_t i = 0; i < w->n; i++) {
                struct row *row = &w->rows[i];
                struct json_object *before = proven_before(w, row);

                if (!row->found && !row->native) {
                        set_absent(row);
                } else if (before && !(w->mode == MODE_TEST && is_asked_for(w, row))) {
                        set(row, "proven", xstrdup(json_get_string(before, "proof", "")));
                } else {
                        of[n] = row;
                        runs[n++].architecture = row->a;
                }
        }
        proofs_run(runs, n);
        for (size_t i = 0; i < n; i++) {
                set_proven(of[i], &runs[i]);
                /* The CPU cannot, and nobody else does: that is no failure of an entry. */
                if (of[i]->native && streq(of[i]->state, "failed") && !streq(of[i]->a->name, agent_architecture)) {
                        of[i]->native = false;
                        set_absent(of[i]);
                }
        }
        free(runs);
        free(of);
}

/* Nothing runs it, though there is an emulator and nobody has masked it: a CPU that could have been native is not. */
static bool is_left(const struct row *row)
{
        autofree char *interpreter = NULL, *masked = NULL;

        if (row->found || !streq(row->state, "absent"))
                return false;
        interpreter = binfmt_interpreter(row->a);
        masked = binfmt_masked(row->a);
        return interpreter && !masked;
}

static int mend_and_prove(struct work *w, struct error *err)
{
        const struct architecture **left = NULL;
        size_t n = 0;
        int r = 0;

        if (mend(w, err) < 0)
                return -1;
        prove(w);
        left = xcalloc(w->n, sizeof(*left));
        for (size_t i = 0; i < w->n; i++)
                if (is_left(&w->rows[i]))
                        left[n++] = w->rows[i].a;
        if (n > 0 && geteuid() == 0) {
                r = binfmt_register(left, n, err) < 0 || look(w, err) < 0 ? -1 : 0;
                if (r == 0)
                        prove(w);
        }
        free(left);
        return r;
}

/* ---- telling */

static struct json_object *row_new(const struct row *row)
{
        struct json_object *o = json_new();

        json_add_string(o, "architecture", row->a->name);
        json_add_string(o, "name", row->found ? row->found->entry.name : NULL);
        json_add_string(o, "state", row->state);
        json_add_string(o, "interpreter", row->found ? row->found->entry.interpreter : NULL);
        json_add_string(o, "flags", row->found ? row->found->entry.flags : NULL);
        json_add_string(o, "proof", row->proof);
        return o;
}

static struct json_object *rows_new(const struct work *w, bool asked_only)
{
        struct json_object *array = json_object_new_array();

        for (size_t i = 0; i < w->n; i++)
                if (!asked_only || is_asked_for(w, &w->rows[i]))
                        json_object_array_add(array, row_new(&w->rows[i]));
        return array;
}

/* Only when something is new: whoever watches the file tells the host. */
static int keep(const struct work *w, struct error *err)
{
        autojson struct json_object *now = rows_new(w, false);
        const char *line = json_line(now);

        if (geteuid() != 0 || (w->before && streq(json_line(w->before), line)))
                return 0;
        return file_write_atomic(BINFMT_STATE, 0644, line, strlen(line), err);
}

struct json_object *binfmt_state(void)
{
        size_t n = 0;
        autofree char *text = file_read(BINFMT_STATE, STATE_SIZE_MAX, &n, NULL);
        struct json_object *o = text ? json_parse(text, n, NULL) : NULL;

        if (o && !json_object_is_type(o, json_type_array))
                json_object_put(take_ptr(o));
        return o;
}

static void print(struct json_object *owned)
{
        printf("%s\n", json_line(owned));
        json_object_put(owned);
}

static int show(const struct work *w, struct error *err)
{
        for (size_t i = 0; i < w->n; i++) {
                const struct row *row = &w->rows[i];
                struct json_object *o;

                if (!is_asked_for(w, row))
                        continue;
                if (!row->found && row->native)
                        return error_set(err, ERR_NOT_FOUND, "%s has no entry: the VM's CPU runs it without an emulator",
                                         row->a->name);
                if (!row->found)
                        return error_set(err, ERR_NOT_FOUND, "%s has no entry: %s", row->a->name, row->proof);
                o = row_new(row);
                json_add_string(o, "entry", row->found->text);
                print(o);
        }
        return 0;
}

static int tell(struct work *w, struct error *err)
{
        struct json_object *o;

        if (w->mode == MODE_START)
                return 0;
        if (w->mode == MODE_SHOW)
                return show(w, err);
        o = json_new();
        json_add(o, "binfmt", rows_new(w, w->mode == MODE_TEST));
        print(o);
        return 0;
}

static int work(struct work *w, struct error *err)
{
        autoclose int lock = -1;

        for (const struct architecture *a = architectures; a->name; a++) {
                w->rows = xrealloc(w->rows, w->n + 1, sizeof(*w->rows));
                w->rows[w->n++] = (struct row){.a = a};
        }
        if (geteuid() == 0) {
                if (dir_make(BINFMT_STATE_FOLDER, 0755, err) < 0)
                        return -1;
                lock = file_lock(BINFMT_STATE_FOLDER "/lock", true, err);
                if (lock < 0)
                        return -1;
        }
        w->before = binfmt_state();
        return binfmt_mount(err) < 0 || look(w, err) < 0 || mend_and_prove(w, err) < 0 || keep(w, err) < 0 ? -1 : 0;
}

static void work_done(struct work *w)
{
        for (size_t i = 0; i < w->n; i++)
                free(w->rows[i].proof);
        free(w->rows);
        strv_free(w->names);
        binfmt_look_done(&w->look);
        json_object_put(w->before);
}

static int parse(int argc, char **argv, struct work *w, struct error *err)
{
        static const struct option options[] = {
                {"list", no_argument, NULL, MODE_LIST},
                {"test", no_argument, NULL, MODE_TEST},
                {"show", no_argument, NULL, MODE_SHOW},
                {0},
        };
        int option;

        opterr = 0; /* standard error is for reports */
        while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (option == '?')
                        return error_set(err, ERR_UNSUPPORTED, "the agent in the VM does not know '%s'; it is of version %s",
                                         argv[optind - 1], INITVM_VERSION);
                w->mode = (enum mode)option;
        }
        for (; optind < argc; optind++) {
                autofree char *names = architecture_find(argv[optind]) ? NULL : architecture_names();

                if (names)
                        return error_set(err, ERR_INVALID, "'%s' is not an architecture; there are %s", argv[optind], names);
                strv_add(&w->names, argv[optind]);
        }
        return 0;
}

int binfmt_main(int argc, char **argv)
{
        struct error err = ERROR_INIT;
        struct work w = {.mode = MODE_START};
        int r;

        signal(SIGPIPE, SIG_IGN);
        alarm(DEADLINE_S);
        r = parse(argc, argv, &w, &err);
        if (w.mode == MODE_START)
                setpriority(PRIO_PROCESS, 0, NICE_AT_START);
        if (r == 0)
                r = work(&w, &err);
        if (r == 0)
                r = tell(&w, &err);
        if (r < 0)
                report_error(STDERR_FILENO, &err);
        work_done(&w);
        return r < 0 ? error_exit_status(err.code) : 0;
}
