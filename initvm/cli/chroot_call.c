/* SPDX-License-Identifier: MIT */
#include "cli/chroot_call.h"

#include "archive/report.h"
#include "base/process.h"
#include "cli/daemon.h"
#include "cli/guest_helper.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TICK_MS    1000
/* A record is a line; a thousand chroots are far below it. */
#define RESULT_MAX (4u << 20)

struct running {
        struct session session;
        const struct chroot_call *call;
        struct progress progress;
        struct loop_source *tick;
        struct report_reader reports;
        struct buf result;
        int signo; /* the one that cancelled, or 0 */
};

/* ---- what it says */

static void on_output(void *userdata, const uint8_t *data, size_t n)
{
        struct running *r = userdata;

        if (buf_size(&r->result) + n > RESULT_MAX)
                session_fail(&r->session, ERR_PROTOCOL, "the agent's answer is larger than %s", format_size(RESULT_MAX));
        else
                buf_append(&r->result, data, n);
}

static void on_reports(void *userdata, const uint8_t *data, size_t n)
{
        struct running *r = userdata;

        report_read(&r->reports, data, n);
}

static void on_progress(void *userdata, struct json_object *event)
{
        struct running *r = userdata;

        if (r->call->quiet)
                return;
        progress_event(&r->progress, event, now_ms());
        progress_flush(&r->progress);
}

static void on_warning(void *userdata, const char *text)
{
        autojson struct json_object *event = json_new();

        json_add_string(event, "warning", text);
        on_progress(userdata, event);
}

static void on_message(void *userdata, struct json_object *message)
{
        struct running *r = userdata;
        struct json_object *parameters = NULL;
        struct error err = ERROR_INIT;
        bool continues = false;

        if (varlink_read_reply(message, &parameters, &continues, &err) < 0)
                session_fail(&r->session, err.code, "%s", err.message);
        else if (!continues && json_get(parameters, "exited"))
                session_end(&r->session, json_get_u64(parameters, "exited", 0) != 0);
        else if (!continues)
                session_fail(&r->session, ERR_FAILED, "the agent's helper in the VM was killed by signal %d",
                             (int)json_get_u64(parameters, "signaled", 0));
}

static void on_closed(void *userdata)
{
        struct running *r = userdata;

        session_fail(
                &r->session, ERR_DISCONNECTED,
                "the connection to the VM was lost; what was half done there is removed by the next 'initvm chroot' command");
}

/* ---- signals and time */

static void on_signal(void *userdata, int signo)
{
        struct running *r = userdata;
        struct json_object *message;

        if (r->signo) {
                session_quit(&r->session, STATUS_SIGNAL + signo);
                return;
        }
        r->signo = signo;
        progress_say(&r->progress, "cancelling", now_ms());
        progress_flush(&r->progress);
        message = json_new();
        json_add_u64(message, "signal", SIGTERM);
        session_send(&r->session, message);
        session_end_input(&r->session);
}

static void on_tick(void *userdata)
{
        struct running *r = userdata;

        progress_tick(&r->progress, now_ms());
        progress_flush(&r->progress);
        loop_timer_arm(r->tick, TICK_MS);
}

/* ---- the call */

char **chroot_argv(const char *command)
{
        char **argv = NULL;

        strv_add(&argv, AGENT_PROGRAM);
        strv_add(&argv, "--chroot");
        strv_add(&argv, command);
        return argv;
}

static int connect_helper(const struct invocation *inv, const struct chroot_call *call, struct client **ret, struct error *err)
{
        struct json_object *parameters = json_new();
        autoclient struct client *c = NULL;

        json_add_string(parameters, "name", inv->name);
        json_add(parameters, "argv", json_from_strv(call->words));
        if (daemon_connect(&c, err) < 0) {
                json_object_put(parameters);
                return -1;
        }
        if (client_call(c, "org.initvm.Exec", parameters, VARLINK_UPGRADE, AGENT_CALL_DEADLINE_MS, NULL, err) < 0)
                return -1;
        *ret = take_ptr(c);
        return 0;
}

static int run_session(struct running *r, struct client *owned, struct error *err)
{
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
        static const struct session_events to_us = {
                .message = on_message, .closed = on_closed, .signal = on_signal, .output = on_output, .error_output = on_reports};
        static const struct session_events to_fd = {
                .message = on_message, .closed = on_closed, .signal = on_signal, .error_output = on_reports};
        int status;

        session_init(&r->session, owned, r->call->output >= 0 ? &to_fd : &to_us, r);
        session_catch(&r->session, signals, ARRAY_SIZE(signals));
        if (r->call->output >= 0)
                session_set_output(&r->session, r->call->output);
        r->tick = loop_add_timer(r->session.loop, on_tick, r);
        if (r->progress.mode == PROGRESS_LIVE)
                loop_timer_arm(r->tick, TICK_MS);
        status = session_run(&r->session, r->call->input, err);
        loop_source_free(r->tick);
        session_done(&r->session);
        return status;
}

/* Of two errors the helper's own is the reason. */
static int outcome(struct running *r, int status, const struct invocation *inv, struct error *err)
{
        const char *other = r->reports.other;

        if (r->signo && status != 0) {
                fprintf(stderr, "initvm: cancelled%s%s\n", r->call->cancelled ? ", " : "",
                        r->call->cancelled ? r->call->cancelled : "");
                return STATUS_SIGNAL + r->signo;
        }
        if (status != 0 && r->reports.error.code) {
                *err = r->reports.error;
                return -1;
        }
        if (status <= 0 || status == STATUS_SIGPIPE)
                return status;
        return error_set(err, ERR_FAILED, "the agent in VM '%s' failed%s%s", inv->name, other ? ": " : "",
                         other ? other : "; 'initvm exec -- journalctl -u initvm-agent' may tell why");
}

int chroot_call(const struct invocation *inv, const struct chroot_call *call, char ***ret, struct error *err)
{
        struct running r = {.call = call};
        struct client *c = NULL;
        autofree char *text = NULL;
        int status;

        if (connect_helper(inv, call, &c, err) < 0)
                return -1;
        fflush(stdout); /* JSON events are written below stdio */
        progress_init(&r.progress, inv->json);
        r.reports = (struct report_reader){.warning = on_warning, .progress = on_progress, .userdata = &r};
        status = run_session(&r, c, err);
        progress_end(&r.progress, status == 0 ? NULL : r.signo ? "cancelled" : "failed", now_ms());
        progress_flush(&r.progress);
        progress_done(&r.progress);
        status = outcome(&r, status, inv, err);
        report_reader_done(&r.reports);
        text = buf_take_string(&r.result);
        if (status == 0 && ret)
                *ret = strv_split(text, "\n");
        return status;
}

struct json_object *chroot_record(char **lines, struct error *err)
{
        struct json_object *o = NULL;

        if (lines && lines[0])
                o = json_parse(lines[0], strlen(lines[0]), err);
        else
                error_set(err, ERR_PROTOCOL, "the agent in the VM did not answer");
        return o;
}
