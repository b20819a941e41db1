/* SPDX-License-Identifier: MIT */
#include "cli/guest_helper.h"

#include "base/file.h"
#include "base/process.h"
#include "cli/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* Somewhat more than the helper's own deadline. */
#define CALL_TIMEOUT_MS (150 * 1000)

/* It removes a file. */
#define END_TIMEOUT_MS (10 * 1000)

#define OUTPUT_MAX (1u << 20)

static int fail_as_reported(struct guest_helper *h, struct error *err)
{
        const char *other = h->reports.other;

        if (h->reports.error.code) {
                *err = h->reports.error;
                return -1;
        }
        return error_set(err, ERR_FAILED, "the agent in VM '%s' has failed%s%s", h->vm, other ? ": " : "",
                         other ? other : "; 'initvm exec -- journalctl -u initvm-agent' may tell why");
}

static void on_message(void *userdata, struct json_object *message)
{
        struct guest_helper *h = userdata;
        struct session *s = &h->session;
        struct json_object *parameters = NULL;
        struct error err = ERROR_INIT;
        bool continues = false;

        if (varlink_read_reply(message, &parameters, &continues, &err) < 0) {
                session_fail(s, err.code, "%s", err.message);
        } else if (!continues && json_get_u64(parameters, "exited", 1) == 0) {
                session_end(s, 0);
        } else if (!continues) {
                fail_as_reported(h, &err);
                session_fail(s, err.code, "%s", err.message);
        }
}

static void on_closed(void *userdata)
{
        struct guest_helper *h = userdata;

        session_fail(&h->session, ERR_DISCONNECTED,
                     "the connection to VM '%s' was lost; 'initvm status' tells whether it still runs", h->vm);
}

static void on_signal(void *userdata, int signo)
{
        struct guest_helper *h = userdata;

        session_quit(&h->session, STATUS_SIGNAL + signo);
}

static void on_reports(void *userdata, const uint8_t *data, size_t n)
{
        struct guest_helper *h = userdata;

        report_read(&h->reports, data, n);
        if (!h->reports.path || h->ready)
                return;
        h->ready = true;
        session_end(&h->session, 0);
}

/* A file that grows meanwhile is sent as it was. */
static size_t on_input(void *userdata, const uint8_t *data, size_t n)
{
        struct guest_helper *h = userdata;
        size_t send = (size_t)MIN((uint64_t)n, h->left);

        (void)data;
        h->left -= send;
        return send;
}

static void on_input_ended(void *userdata)
{
        struct guest_helper *h = userdata;

        if (h->left > 0)
                session_fail(&h->session, ERR_FAILED, "the file became shorter while it was read");
}

static void on_warning(void *userdata, const char *text)
{
        (void)userdata; /* no helper that is run here has any */
        (void)text;
}

static const struct session_events feeding = {.message = on_message,
                                              .closed = on_closed,
                                              .input = on_input,
                                              .input_ended = on_input_ended,
                                              .error_output = on_reports,
                                              .signal = on_signal};
static const struct session_events ending = {
        .message = on_message, .closed = on_closed, .error_output = on_reports, .signal = on_signal};

int guest_helper_start(struct guest_helper *h, const char *vm, const char *user, char *const *arguments, int output,
                       struct error *err)
{
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
        autoclient struct client *c = NULL;
        autostrv char **argv = NULL;
        struct json_object *parameters;

        strv_add(&argv, AGENT_PROGRAM);
        for (; *arguments; arguments++)
                strv_add(&argv, *arguments);
        if (daemon_connect(&c, err) < 0)
                return -1;
        parameters = json_new();
        json_add_string(parameters, "name", vm);
        json_add(parameters, "argv", json_from_strv(argv));
        json_add_string(parameters, "user", user);
        if (client_call(c, "org.initvm.Exec", parameters, VARLINK_UPGRADE, AGENT_CALL_DEADLINE_MS, NULL, err) < 0)
                return -1;
        *h = (struct guest_helper){.vm = vm, .reports = {.warning = on_warning}};
        session_init(&h->session, take_ptr(c), &feeding, h);
        session_set_output(&h->session, output);
        session_catch(&h->session, signals, ARRAY_SIZE(signals));
        return 0;
}

void guest_helper_done(struct guest_helper *h)
{
        loop_source_free(take_ptr(h->deadline));
        session_done(&h->session);
        report_reader_done(&h->reports);
}

int guest_helper_feed(struct guest_helper *h, int fd, uint64_t size, struct error *err)
{
        h->left = size;
        return session_run(&h->session, fd, err);
}

static void on_deadline(void *userdata)
{
        struct guest_helper *h = userdata;

        session_fail(&h->session, ERR_TIMEOUT, "the agent in VM '%s' did not get done within %d s", h->vm,
                     CALL_TIMEOUT_MS / 1000);
}

static void set_deadline(struct guest_helper *h, uint64_t after_ms)
{
        h->deadline = loop_add_timer(h->session.loop, on_deadline, h);
        loop_timer_arm(h->deadline, after_ms);
}

void guest_helper_end(struct guest_helper *h)
{
        autoclose int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
        struct error err = ERROR_INIT;

        h->session.events = &ending;
        set_deadline(h, END_TIMEOUT_MS);
        session_run(&h->session, nothing, &err);
}

/* What it wrote there. */
static struct json_object *read_output(int fd, const char *vm, struct error *err)
{
        autofree char *path = xasprintf("/proc/self/fd/%d", fd);
        size_t n = 0;
        autofree char *text = file_read(path, OUTPUT_MAX, &n, err);
        struct json_object *o = text ? json_parse(text, n, NULL) : NULL;

        if (!o || !json_object_is_type(o, json_type_object)) {
                json_object_put(take_ptr(o));
                error_set(err, ERR_PROTOCOL, "the agent in VM '%s' gave an answer that is none", vm);
        }
        return o;
}

int guest_helper_call(const char *vm, char *const *arguments, struct json_object **ret, struct error *err)
{
        autoclose int output = memfd_create("output", MFD_CLOEXEC);
        struct guest_helper h;
        int status;

        if (output < 0)
                return error_errno(err, errno, "cannot keep what the agent answers");
        if (guest_helper_start(&h, vm, NULL, arguments, output, err) < 0)
                return -1;
        set_deadline(&h, CALL_TIMEOUT_MS);
        status = session_run(&h.session, -1, err);
        guest_helper_done(&h);
        if (status != 0)
                return status;
        *ret = read_output(output, vm, err);
        return *ret ? 0 : -1;
}
