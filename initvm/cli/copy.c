/* SPDX-License-Identifier: MIT */
/*
 * The agent runs its own program again as the copier (initvm-agent(8)): a command like any other, with credits, hang-up and
 * user.  What both copiers say comes as reports.  When one of them fails the other one sees the pipe break: of two errors the
 * one that is not about that is the reason.
 */
#include "cli/copy.h"

#include "archive/name.h"
#include "archive/report.h"
#include "base/file.h"
#include "base/process.h"
#include "cli/copy_helper.h"
#include "cli/daemon.h"
#include "cli/guest_helper.h"
#include "cli/meter.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

/* More of them are counted, not shown. */
#define WARNINGS_SHOWN 20

struct run {
        const struct copy *copy;
        struct session session;
        struct copy_helper helper;
        struct loop_source *helper_reports, *tick;
        struct meter meter;
        bool live;  /* the meter is shown */
        bool drawn; /* it stands on the screen */
        struct voice {
                struct run *run;
                const char *vm; /* who speaks; NULL: the host */
                struct report_reader reports;
        } near, far; /* the helper, and the agent */
        unsigned warnings;
};

/* ---- what is shown */

static void erase_meter(struct run *r)
{
        if (r->drawn)
                fputs(CLEAR_LINE, stderr);
        r->drawn = false;
}

static void draw_meter(struct run *r)
{
        struct buf b = {0};
        autofree char *line = NULL;

        meter_sample(&r->meter, r->copy->to.vm ? r->session.sent : r->session.written, now_ms());
        r->meter.total = r->copy->from.vm && !r->copy->to.vm ? r->far.reports.total : r->near.reports.total;
        meter_line(&r->meter, MAX(terminal_width(STDERR_FILENO), 2) - 1, &b); /* a full line would wrap */
        line = buf_take_string(&b);
        fprintf(stderr, "%s%s", CLEAR_LINE, line);
        r->drawn = true;
}

static void on_tick(void *userdata)
{
        struct run *r = userdata;

        draw_meter(r);
        loop_timer_arm(r->tick, METER_TICK_MS);
}

static void say_summary(struct run *r)
{
        struct buf b = {0};
        autofree char *text = NULL;

        draw_meter(r);
        meter_summary(&r->meter, &b);
        text = buf_take_string(&b);
        erase_meter(r);
        fprintf(stderr, "  %s\n", text);
}

static void on_warning(void *userdata, const char *text)
{
        struct voice *v = userdata;
        struct buf b = {0};
        autofree char *line = NULL;

        if (v->run->warnings++ >= WARNINGS_SHOWN)
                return;
        if (v->vm)
                buf_printf(&b, "VM '%s': ", v->vm);
        text_append_safe(&b, text, false);
        line = buf_take_string(&b);
        erase_meter(v->run);
        fprintf(stderr, "initvm: %swarning: %s%s\n", terminal_style(STDERR_FILENO, STYLE_YELLOW),
                terminal_style(STDERR_FILENO, STYLE_RESET), line);
}

/* ---- the agent's side */

static void on_message(void *userdata, struct json_object *message)
{
        struct session *s = userdata;
        struct json_object *parameters = NULL;
        struct error err = ERROR_INIT;
        bool continues = false;

        if (varlink_read_reply(message, &parameters, &continues, &err) < 0)
                session_fail(s, err.code, "%s", err.message);
        else if (!continues && json_get(parameters, "exited"))
                session_end(s, json_get_u64(parameters, "exited", 0) != 0);
        else if (!continues)
                session_fail(s, ERR_FAILED, "the copier in the VM was killed by signal %d",
                             (int)json_get_u64(parameters, "signaled", 0));
}

static void on_closed(void *userdata)
{
        session_fail(userdata, ERR_DISCONNECTED,
                     "the connection to the VM was lost before the copy ended; 'initvm status' tells whether it still runs");
}

static void on_signal(void *userdata, int signo)
{
        session_quit(userdata, STATUS_SIGNAL + signo);
}

/* Calls the copier in a VM: sources for --get, a destination for --put. */
static int connect_copier(const struct copy *copy, const struct copy_place *place, bool put, const struct session_events *events,
                          struct session *s, struct error *err)
{
        autoclient struct client *c = NULL;
        autostrv char **argv = NULL;
        struct json_object *parameters;

        strv_add(&argv, AGENT_PROGRAM);
        strv_add(&argv, put ? "--put" : "--get");
        if (put && copy->from.stream)
                strv_add(&argv, "--content");
        else if (put && copy->from.paths[1])
                strv_add(&argv, "--into");
        else if (!put && !copy->quiet)
                strv_add(&argv, "--total");
        strv_add(&argv, "--");
        for (char *const *path = place->paths; *path; path++)
                strv_push(&argv, name_escape(*path));
        if (daemon_connect(&c, err) < 0)
                return -1;
        parameters = json_new();
        json_add_string(parameters, "name", place->vm);
        json_add(parameters, "argv", json_from_strv(argv));
        json_add_string(parameters, "user", copy->user);
        if (client_call(c, "org.initvm.Exec", parameters, VARLINK_UPGRADE, AGENT_CALL_DEADLINE_MS, NULL, err) < 0)
                return -1;
        session_init(s, take_ptr(c), events, s);
        return 0;
}

/* ---- between two VMs: the helper is the session with the first one */

struct source_session {
        struct session session; /* first: the userdata of its events */
        int reports;
};

static void pass_reports(void *userdata, const uint8_t *data, size_t n)
{
        struct source_session *s = userdata;

        fd_write_all(s->reports, data, n);
}

static int copy_source_vm(const struct copy *copy, int data, int reports, struct error *err)
{
        static const struct session_events events = {
                .message = on_message, .closed = on_closed, .signal = on_signal, .error_output = pass_reports};
        struct source_session s = {.reports = reports};
        int status;

        if (connect_copier(copy, &copy->from, false, &events, &s.session, err) < 0)
                return -1;
        session_set_output(&s.session, data);
        status = session_run(&s.session, -1, err);
        session_done(&s.session);
        /* What went wrong was reported there. */
        return status <= 0 ? status : error_set(err, ERR_DISCONNECTED, "the copier in the VM has failed");
}

/* ---- the whole */

static void on_far_reports(void *userdata, const uint8_t *data, size_t n)
{
        struct run *r = (struct run *)((char *)userdata - offsetof(struct run, session));

        report_read(&r->far.reports, data, n);
}

/* Once: blocks when there is nothing. False at the end. */
static bool read_near_reports(struct run *r)
{
        char data[4096];
        ssize_t n = read(r->helper.reports, data, sizeof(data));

        if (n > 0)
                report_read(&r->near.reports, data, (size_t)n);
        return n > 0 || (n < 0 && errno == EINTR);
}

static void on_near_reports(void *userdata, uint32_t events)
{
        struct run *r = userdata;

        (void)events;
        if (!read_near_reports(r))
                loop_source_free(take_ptr(r->helper_reports));
}

static int run_session(struct run *r, struct error *err)
{
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
        static const struct session_events events = {
                .message = on_message, .closed = on_closed, .signal = on_signal, .error_output = on_far_reports};
        const struct copy *copy = r->copy;
        bool put = copy->to.vm;
        int status;

        if (connect_copier(copy, put ? &copy->to : &copy->from, put, &events, &r->session, err) < 0)
                return -1;
        session_catch(&r->session, signals, ARRAY_SIZE(signals));
        if (!put)
                session_set_output(&r->session, r->helper.data);
        r->helper_reports = loop_add_fd(r->session.loop, r->helper.reports, EPOLLIN, on_near_reports, r);
        if (r->live) {
                r->tick = loop_add_timer(r->session.loop, on_tick, r);
                loop_timer_arm(r->tick, METER_TICK_MS);
        }
        status = session_run(&r->session, put ? r->helper.data : -1, err);
        if (r->live && status == 0)
                say_summary(r);
        erase_meter(r);
        loop_source_free(r->tick);
        loop_source_free(r->helper_reports);
        session_done(&r->session);
        return status;
}

/* Its end of the pipe is closed: it unpacks what is left, or removes what is half. Who packs is not waited for when the copy
 * failed: it might be reading a standard input that never ends. */
static int end_helper(struct run *r, bool failed)
{
        int status = 0;

        cleanup_close(&r->helper.data);
        if (failed && r->copy->to.vm)
                kill(r->helper.pid, SIGTERM);
        while (read_near_reports(r))
                ;
        while (waitpid(r->helper.pid, &status, 0) < 0 && errno == EINTR)
                ;
        cleanup_close(&r->helper.reports);
        return status;
}

/* The error of one who failed without a word. */
static int failed_silently(const struct voice *v, struct error *err)
{
        const char *other = v->reports.other;

        if (v->vm)
                return error_set(err, ERR_FAILED, "the agent in VM '%s' could not copy%s%s", v->vm, other ? ": " : "",
                                 other ? other : "; 'initvm exec -- journalctl -u initvm-agent' may tell why");
        return error_set(err, ERR_FAILED, "the process that copies here ended unexpectedly%s%s", other ? ": " : "",
                         other ? other : "");
}

static int fail_as(const struct voice *v, struct error *err)
{
        *err = v->reports.error;
        return v->vm ? error_prefix(err, "VM '%s'", v->vm) : -1;
}

static bool is_reason(const struct voice *v)
{
        return v->reports.error.code != ERR_NONE && v->reports.error.code != ERR_DISCONNECTED;
}

static int outcome(struct run *r, int status, int helper_status, struct error *err)
{
        bool helper_failed = !WIFEXITED(helper_status) || WEXITSTATUS(helper_status) != 0;

        if (status > STATUS_SIGNAL && status != STATUS_SIGPIPE)
                return status;
        if (is_reason(&r->far))
                return fail_as(&r->far, err);
        if (is_reason(&r->near))
                return fail_as(&r->near, err);
        if (status < 0 || (status == STATUS_SIGPIPE && r->copy->to.stream))
                return status;
        if (r->far.reports.error.code)
                return fail_as(&r->far, err);
        if (status != 0 && status != STATUS_SIGPIPE)
                return failed_silently(&r->far, err);
        if (r->near.reports.error.code)
                return fail_as(&r->near, err);
        if (status == STATUS_SIGPIPE || helper_failed)
                return failed_silently(&r->near, err);
        if (r->warnings > WARNINGS_SHOWN)
                fprintf(stderr, "initvm: and %u warnings more\n", r->warnings - WARNINGS_SHOWN);
        return r->warnings > 0;
}

int copy_run(const struct copy *asked, struct error *err)
{
        struct copy copy = *asked;
        bool put = copy.to.vm, between = copy.from.vm && copy.to.vm;
        struct run r = {.copy = &copy};
        int status;

        copy.quiet |= !terminal_is_live(STDERR_FILENO);
        r.live = !copy.quiet;
        r.near = (struct voice){.run = &r, .vm = between ? copy.from.vm : NULL};
        r.far = (struct voice){.run = &r, .vm = put ? copy.to.vm : copy.from.vm};
        r.near.reports = (struct report_reader){.warning = on_warning, .userdata = &r.near};
        r.far.reports = (struct report_reader){.warning = on_warning, .userdata = &r.far};
        meter_init(&r.meter, now_ms());
        if (copy_helper_start(&copy, between ? copy_source_vm : copy_host_side, put, &r.helper, err) < 0)
                return -1;
        status = run_session(&r, err);
        status = outcome(&r, status, end_helper(&r, status != 0), err);
        report_reader_done(&r.near.reports);
        report_reader_done(&r.far.reports);
        return status;
}
