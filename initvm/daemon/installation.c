/* SPDX-License-Identifier: MIT */
#include "daemon/installation.h"

#include "daemon/console_log.h"
#include "daemon/installer_watch.h"
#include "daemon/progress.h"

#include <stdlib.h>

/* A prompt on the console comes before the line of the log that names the question: the installer looks for new lines of its log
 * once a second. */
#define QUESTION_SETTLE_MS 5000

/* Progress is for eyes. */
#define UPDATE_INTERVAL_MS 500

/* What libvirt had not passed on when the domain ended is in the files that QEMU writes. */
#define REST_MAX 8192

struct installation {
        struct vm *vm;
        struct daemon *daemon;
        char *folder, *command_line, *logs;
        struct vm_installation ports;
        struct installer_watch *watch;
        bool show;
        vm_progress_fn progress;
        vm_done_fn done;
        void *userdata;

        struct loop_source *silence, *stage_deadline, *settle;
        char *stage; /* that was told, NULL before the first */
        uint64_t stage_started, last_update;
        unsigned told; /* of installer_progress.changes */
        bool cancelled;
        bool over; /* done was called */
};

void installation_free(struct installation *i)
{
        if (!i)
                return;
        loop_source_free(i->silence);
        loop_source_free(i->stage_deadline);
        loop_source_free(i->settle);
        installer_watch_free(i->watch);
        free(i->folder);
        free(i->command_line);
        free(i->logs);
        free(i->stage);
        free(i);
}

static void finish(struct installation *i, const struct error *err)
{
        if (i->over)
                return;
        i->over = true;
        loop_source_free(take_ptr(i->silence));
        loop_source_free(take_ptr(i->stage_deadline));
        loop_source_free(take_ptr(i->settle));
        i->done(i->userdata, err); /* may free us */
}

/* "the installation failed in the stage 'disks': REASON" and what the log said last. */
static void fail(struct installation *i, enum error_code code, const char *reason, const char *words)
{
        struct installer_progress p;
        struct error err = ERROR_INIT;
        autofree char *tail = installer_watch_log_tail(i->watch);

        installer_watch_progress(i->watch, &p);
        error_set(&err, code,
                  "the installation failed in the stage '%s'%s%s%s: %s; its console is recorded in '%s/console.log', its log in "
                  "'%s/installer.log'%s%s%s%s",
                  p.stage, *p.text ? " (" : "", p.text, *p.text ? ")" : "", reason, i->logs, i->logs,
                  *words ? "\nit shows:\n" : "", words, *tail ? "\nthe log ends with:\n" : "", tail);
        finish(i, &err);
}

static bool watch_is_kvm(const struct installation *i)
{
        return streq(vm_acceleration(i->vm), "kvm");
}

static void arm_silence(struct installation *i)
{
        if (i->silence)
                loop_timer_arm(i->silence, watch_is_kvm(i) ? INSTALLER_SILENCE_KVM_MS : INSTALLER_SILENCE_TCG_MS);
}

static void arm_stage(struct installation *i)
{
        if (i->stage_deadline)
                loop_timer_arm(i->stage_deadline, watch_is_kvm(i) ? INSTALLER_STAGE_KVM_MS : INSTALLER_STAGE_TCG_MS);
}

static void tell(struct installation *i, const char *state, const struct installer_progress *p)
{
        struct json_object *o = progress_stage(i->stage, state, p && *p->text ? p->text : NULL, now_ms() - i->stage_started);

        if (p && p->percent >= 0)
                json_add_u64(o, "percent", (uint64_t)p->percent);
        i->progress(i->userdata, o);
}

/* Tells what has changed since the last time. */
static void tell_changes(struct installation *i)
{
        struct installer_progress p;
        uint64_t now = now_ms();

        installer_watch_progress(i->watch, &p);
        if (!streq(i->stage, p.stage)) {
                if (i->stage)
                        tell(i, "end", NULL);
                free(i->stage);
                i->stage = xstrdup(p.stage);
                i->stage_started = now;
                arm_stage(i);
                tell(i, "begin", &p);
        } else if (p.changes == i->told || now - i->last_update < UPDATE_INTERVAL_MS) {
                return;
        } else {
                tell(i, "update", &p);
        }
        i->told = p.changes;
        i->last_update = now;
}

static void on_silence(void *userdata)
{
        struct installation *i = userdata;
        autofree char *reason = xasprintf("the installer has shown nothing for %d minutes",
                                          (watch_is_kvm(i) ? INSTALLER_SILENCE_KVM_MS : INSTALLER_SILENCE_TCG_MS) / 60000);

        fail(i, ERR_TIMEOUT, reason, "");
}

static void on_stage_deadline(void *userdata)
{
        struct installation *i = userdata;
        autofree char *reason = xasprintf("it takes longer than %d hours",
                                          (int)((watch_is_kvm(i) ? INSTALLER_STAGE_KVM_MS : INSTALLER_STAGE_TCG_MS) / 3600000));

        fail(i, ERR_TIMEOUT, reason, "");
}

/* Nobody is there to answer. By now the log has told the question's name, if it ever will. */
static void on_settled(void *userdata)
{
        struct installation *i = userdata;
        const char *question = installer_watch_question(i->watch);
        autofree char *words = installer_watch_words(i->watch), *reason = NULL;

        if (installer_watch_is_message(i->watch))
                reason = question ? xasprintf("the installer stopped with the message '%s'", question)
                                  : xstrdup("the installer stopped with a message");
        else
                reason = question ? xasprintf("the installer waits for an answer to '%s', which the preseed does not give",
                                              question)
                                  : xstrdup("the installer waits for somebody to answer");
        fail(i, ERR_FAILED, reason, words);
}

static void look(struct installation *i)
{
        if (i->over)
                return;
        arm_silence(i);
        tell_changes(i);
        switch (installer_watch_state(i->watch)) {
        case INSTALLER_ASKS:
                if (!i->settle) {
                        i->settle = loop_add_timer(i->daemon->loop, on_settled, i);
                        loop_timer_arm(i->settle, QUESTION_SETTLE_MS);
                }
                return;
        case INSTALLER_FAILED:
                fail(i, ERR_FAILED, installer_watch_why(i->watch), "");
                return;
        default:
                return;
        }
}

static void on_console(void *userdata, const void *data, size_t n)
{
        struct installation *i = userdata;

        installer_watch_console(i->watch, data, n);
        if (i->show && !i->over) {
                struct json_object *o = json_new();
                autofree char *text = xstrndup(data, n);

                for (char *t = text; *t; t++) /* JSON is UTF-8, and this is whatever a serial line says */
                        *t = (unsigned char)*t < 0x80 ? *t : '?';
                json_add_string(o, "console", text);
                i->progress(i->userdata, o);
        }
        look(i);
}

static void on_log(void *userdata, const void *data, size_t n)
{
        struct installation *i = userdata;

        installer_watch_log(i->watch, data, n);
        look(i);
}

/* The ends of both logs: what is heard a second time changes nothing. */
static void hear_the_rest(struct installation *i)
{
        uint8_t rest[REST_MAX];
        autofree char *console = xasprintf("%s/console.log", vm_folder(i->vm));
        autofree char *log = xasprintf("%s/installer.log", vm_folder(i->vm));

        installer_watch_log(i->watch, "\n", 1);
        installer_watch_log(i->watch, rest, console_log_tail(log, rest, sizeof(rest)));
        installer_watch_console(i->watch, "\n", 1);
        installer_watch_console(i->watch, rest, console_log_tail(console, rest, sizeof(rest)));
}

static void on_ended(void *userdata, const struct error *err)
{
        struct installation *i = userdata;

        if (i->over) { /* who was told so may wait for this */
                i->done(i->userdata, err);
                return;
        }
        if (err) {
                finish(i, err);
                return;
        }
        hear_the_rest(i);
        if (installer_watch_state(i->watch) == INSTALLER_OFF) {
                if (i->stage)
                        tell(i, "end", NULL);
                finish(i, NULL);
        } else if (installer_watch_state(i->watch) == INSTALLER_FAILED) {
                fail(i, ERR_FAILED, installer_watch_why(i->watch), "");
        } else if (installer_watch_state(i->watch) == INSTALLER_ASKS) {
                on_settled(i);
        } else {
                fail(i, ERR_FAILED, "the machine ended before the installation was complete", "");
        }
}

static void on_started(void *userdata, const struct error *err)
{
        struct installation *i = userdata;

        struct error cancelled = ERROR_INIT;

        if (i->cancelled) {
                error_set(&cancelled, ERR_CANCELLED, "cancelled");
                err = err ? err : &cancelled;
        }
        if (err) {
                finish(i, err);
                return;
        }
        i->silence = loop_add_timer(i->daemon->loop, on_silence, i);
        i->stage_deadline = loop_add_timer(i->daemon->loop, on_stage_deadline, i);
        arm_silence(i);
        tell_changes(i);
        vm_await_end(i->vm, "installing", on_ended, i);
}

void installation_cancel(struct installation *i)
{
        i->cancelled = true;
}

static void on_progress(void *userdata, struct json_object *owned_progress)
{
        struct installation *i = userdata;

        i->progress(i->userdata, owned_progress);
}

struct installation *installation_start(struct vm *vm, struct daemon *daemon, const struct installation_options *options,
                                        vm_progress_fn progress, vm_done_fn done, void *userdata)
{
        struct installation *i = xcalloc(1, sizeof(*i));

        i->vm = vm;
        i->daemon = daemon;
        i->folder = xasprintf("%s/installer", vm_folder(vm));
        i->command_line = xstrdup(options->command_line);
        i->logs = xstrdup(options->logs);
        i->show = options->show;
        i->watch = installer_watch_new();
        i->progress = progress;
        i->done = done;
        i->userdata = userdata;
        i->ports = (struct vm_installation){
                .folder = i->folder, .command_line = i->command_line, .console = on_console, .log = on_log, .userdata = i};
        const struct vm_start_options start = {.installation = &i->ports, .unsafe_writes = true, .with_port = true};
        vm_start(vm, &start, on_progress, on_started, i);
        return i;
}
