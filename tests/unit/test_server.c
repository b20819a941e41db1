/* SPDX-License-Identifier: MIT */
#include "io/server.h"

#include "base/file.h"
#include "scratch.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS_MAX 100000
#define CALLS_MAX  8

/* Clients are plain sockets in the same thread: between their steps the loop runs until nothing is to be done. */
struct fixture {
        struct loop *loop;
        struct server *server;
        size_t fds;
        char folder[64];
        struct sockaddr_un address;
        struct call *calls[CALLS_MAX]; /* those of t.Wait, unanswered */
        int waits, cancels;
        bool answer_when_cancelled, upgrade_when_cancelled;
        struct conn *upgraded;
};

static int handle_echo(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        (void)userdata;
        (void)err;
        call_reply(call, json_object_get(parameters));
        return 0;
}

static int handle_fail(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        (void)call;
        (void)parameters;
        (void)userdata;
        return error_set(err, ERR_NOT_FOUND, "no VM 'x'");
}

struct wait {
        struct fixture *f;
        int number;
};
static struct wait waits[CALLS_MAX];

static void on_cancel(void *userdata)
{
        struct wait *w = userdata;
        struct error err = ERROR_INIT;

        w->f->cancels++;
        if (w->f->answer_when_cancelled) {
                error_set(&err, ERR_CANCELLED, "cancelled");
                call_fail(take_ptr(w->f->calls[w->number]), &err);
        } else if (w->f->upgrade_when_cancelled) {
                w->f->upgraded = call_upgrade(take_ptr(w->f->calls[w->number]), json_new());
        }
}

static int handle_wait(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        struct fixture *f = userdata;
        (void)parameters;
        (void)err;

        assert_true(f->waits < CALLS_MAX);
        waits[f->waits] = (struct wait){f, f->waits};
        call_on_cancel(call, on_cancel, &waits[f->waits]);
        f->calls[f->waits++] = call;
        return 0;
}

static void on_raw_input(void *userdata)
{
        struct fixture *f = userdata;
        struct buf *in = conn_input(f->upgraded);

        for (size_t i = 0; i < buf_size(in); i++) {
                char c = (char)(buf_head(in)[i] ^ 0x20);
                buf_append(conn_output(f->upgraded), &c, 1);
        }
        buf_consume(in, buf_size(in));
        conn_flush(f->upgraded);
}

static void on_raw_end(void *userdata)
{
        struct fixture *f = userdata;

        conn_free(take_ptr(f->upgraded));
}

static int handle_raw(struct call *call, struct json_object *parameters, void *userdata, struct error *err)
{
        static const struct conn_events raw_events = {.input = on_raw_input, .ended = on_raw_end};
        struct fixture *f = userdata;
        (void)parameters;
        (void)err;

        f->upgraded = call_upgrade(call, json_new());
        conn_set_events(f->upgraded, &raw_events, f);
        on_raw_input(f); /* what came with the call */
        return 0;
}

static const struct server_method methods[] = {
        {"t.Echo", false, false, handle_echo}, {"t.Fail", false, false, handle_fail}, {"t.Wait", false, false, handle_wait},
        {"t.More", true, false, handle_wait},  {"t.Raw", false, true, handle_raw},
};
static const struct server_interface interface = {
        .name = "t", .description = "interface t\n", .methods = methods, .n_methods = ARRAY_SIZE(methods)};

static int setup(void **state)
{
        struct fixture *f = xcalloc(1, sizeof(*f));
        int fd;

        f->fds = scratch_open_fds();
        snprintf(f->folder, sizeof(f->folder), "/tmp/initvm-unit.XXXXXX");
        if (!mkdtemp(f->folder))
                return -1;
        f->address.sun_family = AF_UNIX;
        snprintf(f->address.sun_path, sizeof(f->address.sun_path), "%s/socket", f->folder);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (bind(fd, (struct sockaddr *)&f->address, sizeof(f->address)) < 0 || listen(fd, 512) < 0)
                return -1;
        f->loop = loop_new();
        f->server = server_new(f->loop, fd, &interface, "1.2.3", f);
        *state = f;
        return 0;
}

static void settle(struct fixture *f)
{
        struct pollfd p = {.fd = loop_epoll_fd(f->loop), .events = POLLIN};

        for (int i = 0; poll(&p, 1, 0) > 0; i++) {
                assert_true(i < ROUNDS_MAX);
                loop_dispatch(f->loop);
        }
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        size_t fds = f->fds;

        settle(f);
        if (f->server)
                server_free(f->server);
        settle(f);
        loop_free(f->loop);
        tree_remove(f->folder, NULL);
        free(f);
        return scratch_open_fds() == fds ? 0 : -1;
}

static int dial(struct fixture *f)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (struct sockaddr *)&f->address, sizeof(f->address)), 0);
        fd_set_nonblock(fd, true);
        return fd;
}

/* Sends text whose '|' stand for the NUL behind each message. */
static void say(struct fixture *f, int fd, const char *text)
{
        autofree char *copy = xstrdup(text);
        size_t n = strlen(copy), at = 0;

        for (size_t i = 0; i < n; i++)
                if (copy[i] == '|')
                        copy[i] = '\0';
        while (at < n) {
                ssize_t sent = send(fd, copy + at, n - at, MSG_NOSIGNAL);
                assert_true(sent > 0 || errno == EAGAIN);
                at += sent > 0 ? (size_t)sent : 0;
                settle(f);
        }
}

/* What the client has got by now, NULs as '|', '$' for the end; compared whole. */
static void expect(struct fixture *f, int fd, const char *expected)
{
        autobuf struct buf b = {0};
        ssize_t n;

        do {
                settle(f);
                n = recv(fd, buf_reserve(&b, 65536), 65536, 0);
                if (n > 0)
                        buf_commit(&b, (size_t)n);
        } while (n > 0);
        if (n == 0)
                buf_append(&b, "$", 1);
        else
                assert_int_equal(errno, EAGAIN);
        for (size_t i = 0; i < buf_size(&b); i++)
                if (!buf_head(&b)[i])
                        buf_head(&b)[i] = '|';
        autofree char *got = buf_take_string(&b);
        assert_string_equal(got, expected);
}

static struct json_object *numbered(unsigned n)
{
        struct json_object *o = json_new();

        json_add_u64(o, "n", n);
        return o;
}

#define ECHO(n)  "{\"method\":\"t.Echo\",\"parameters\":{\"n\":" #n "}}|"
#define REPLY(n) "{\"parameters\":{\"n\":" #n "}}|"
#define WAIT     "{\"method\":\"t.Wait\"}|"

static void test_calls(void **state)
{
        struct fixture *f = *state;
        int a = dial(f), b = dial(f);

        say(f, a, ECHO(1));
        expect(f, a, REPLY(1));
        say(f, a, "{\"method\":\"t.Fail\"}|" ECHO(2));
        expect(f, a, "{\"error\":\"org.initvm.NotFound\",\"parameters\":{\"message\":\"no VM 'x'\"}}|" REPLY(2));
        say(f, a, "{\"method\":\"t.Echo\"}|");
        expect(f, a, "{\"parameters\":{}}|");
        assert_int_equal(server_clients(f->server), 2);
        say(f, b, "{\"meth");
        expect(f, b, "");
        say(f, b, "od\":\"t.Echo\"}|");
        expect(f, b, "{\"parameters\":{}}|");
        close(a);
        settle(f);
        assert_int_equal(server_clients(f->server), 1);
        shutdown(b, SHUT_WR);
        expect(f, b, "$");
        close(b);
}

/* One at a time per connection, in order; another connection is not held up. */
static void test_one_at_a_time(void **state)
{
        struct fixture *f = *state;
        int a = dial(f), b = dial(f);

        say(f, a, WAIT WAIT ECHO(3));
        assert_int_equal(f->waits, 1);
        say(f, b, ECHO(4));
        expect(f, b, REPLY(4));
        expect(f, a, "");
        call_reply(f->calls[0], numbered(1));
        settle(f);
        assert_int_equal(f->waits, 2);
        expect(f, a, REPLY(1));
        call_reply(f->calls[1], numbered(2));
        expect(f, a, REPLY(2) REPLY(3));
        close(a);
        close(b);
}

/* Calls in a row that are answered at once need no more stack than one. */
static void test_pipelined_many(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);
        autobuf struct buf calls = {0}, replies = {0};
        autofree char *said = NULL, *expected = NULL;

        buf_printf(&calls, WAIT);
        for (int i = 0; i < 20000; i++) {
                buf_printf(&calls, "{\"method\":\"t.Echo\"}|");
                buf_printf(&replies, "{\"parameters\":{}}|");
        }
        said = buf_take_string(&calls);
        say(f, fd, said);
        assert_int_equal(f->waits, 1);
        call_reply(f->calls[0], numbered(0)); /* all at once from here */
        settle(f);
        expected = buf_take_string(&replies);
        autofree char *all = xasprintf(REPLY(0) "%s", expected);
        expect(f, fd, all);
        close(fd);
}

/* A client that sends ahead of a running call is read up to a bound, not for ever. */
static void test_sends_ahead(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);
        static char spaces[65536];
        size_t total = 0;
        ssize_t n;

        memset(spaces, ' ', sizeof(spaces));
        say(f, fd, WAIT);
        while ((n = send(fd, spaces, sizeof(spaces), MSG_NOSIGNAL)) > 0 && total < 16u << 20) {
                total += (size_t)n;
                settle(f);
        }
        assert_int_equal(n, -1);
        assert_true(total < 4u << 20);
        close(fd);
        settle(f);
        assert_int_equal(f->cancels, 1);
        call_reply(f->calls[0], json_new());
}

static void test_progress(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);

        say(f, fd, "{\"method\":\"t.More\",\"more\":true}|" WAIT);
        call_progress(f->calls[0], numbered(1));
        expect(f, fd, "{\"parameters\":{\"n\":1},\"continues\":true}|");
        call_progress(f->calls[0], numbered(2));
        call_reply(f->calls[0], numbered(3));
        settle(f);
        call_progress(f->calls[1], numbered(4)); /* nobody said "more": dropped */
        call_reply(f->calls[1], numbered(5));
        expect(f, fd, "{\"parameters\":{\"n\":2},\"continues\":true}|" REPLY(3) REPLY(5));
        close(fd);
}

static void test_flags(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);

        say(f, fd, "{\"method\":\"t.More\"}|{\"method\":\"t.Raw\"}|");
        expect(f, fd,
               "{\"error\":\"org.initvm.Invalid\",\"parameters\":{\"message\":\"'t.More' must be called with \\\"more\\\"\"}}|"
               "{\"error\":\"org.initvm.Invalid\",\"parameters\":{\"message\":\"'t.Raw' must be called with "
               "\\\"upgrade\\\"\"}}|");
        /* A oneway call gets no answer, whatever becomes of it. */
        say(f, fd,
            "{\"method\":\"t.Echo\",\"oneway\":true}|{\"method\":\"t.Fail\",\"oneway\":true}|"
            "{\"method\":\"t.None\",\"oneway\":true}|{\"method\":\"t.More\",\"oneway\":true}|"
            "{\"method\":\"org.varlink.service.GetInfo\",\"oneway\":true}|" ECHO(1));
        expect(f, fd, REPLY(1));
        close(fd);
}

static void test_cancel_gone(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);

        say(f, fd, "{\"method\":\"t.More\",\"more\":true}|");
        close(fd);
        settle(f);
        assert_int_equal(f->cancels, 1);
        call_progress(f->calls[0], numbered(1)); /* nobody hears it */
        settle(f);
        call_reply(f->calls[0], numbered(2));
        settle(f);
        assert_int_equal(f->cancels, 1);
        assert_int_equal(server_clients(f->server), 0);
}

/* A client that only half-closed cancels as well, hears the answer, and is closed after it; what it sent ahead is not begun. */
static void test_cancel_half_closed(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);
        struct error err = ERROR_INIT;

        say(f, fd, "{\"method\":\"t.More\",\"more\":true}|" WAIT);
        shutdown(fd, SHUT_WR);
        settle(f);
        assert_int_equal(f->cancels, 1);
        call_progress(f->calls[0], numbered(1));
        error_set(&err, ERR_CANCELLED, "cancelled");
        call_fail(f->calls[0], &err);
        expect(f, fd,
               "{\"parameters\":{\"n\":1},\"continues\":true}|"
               "{\"error\":\"org.initvm.Cancelled\",\"parameters\":{\"message\":\"cancelled\"}}|$");
        assert_int_equal(f->waits, 1);
        assert_int_equal(server_clients(f->server), 0);
        close(fd);
}

/* Answered from within the cancel callback. */
static void test_cancel_answers_at_once(void **state)
{
        struct fixture *f = *state;
        int half = dial(f), gone = dial(f);

        f->answer_when_cancelled = true;
        say(f, half, WAIT);
        say(f, gone, WAIT);
        shutdown(half, SHUT_WR);
        close(gone);
        expect(f, half, "{\"error\":\"org.initvm.Cancelled\",\"parameters\":{\"message\":\"cancelled\"}}|$");
        assert_int_equal(f->cancels, 2);
        assert_int_equal(server_clients(f->server), 0);
        close(half);
}

static void test_cancel_unset(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);

        say(f, fd, WAIT);
        call_on_cancel(f->calls[0], NULL, NULL);
        close(fd);
        settle(f);
        assert_int_equal(f->cancels, 0);
        call_on_cancel(f->calls[0], on_cancel, &waits[0]); /* it is late: told at once */
        assert_int_equal(f->cancels, 1);
        call_reply(f->calls[0], json_new());
}

static void test_server_freed(void **state)
{
        struct fixture *f = *state;
        int a = dial(f), b = dial(f);

        say(f, a, WAIT);
        say(f, b, WAIT);
        f->answer_when_cancelled = true;
        server_free(take_ptr(f->server));
        assert_int_equal(f->cancels, 2);
        expect(f, a, "$");
        expect(f, b, "$");
        close(a);
        close(b);
}

/* Bytes that came with the call, and with the pieces of it, go to the new owner; so does the end. */
static void test_upgrade(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);

        say(f, fd, ECHO(1) "{\"method\":\"t.Raw\",\"upgrade\":true}|abc");
        expect(f, fd, REPLY(1) "{\"parameters\":{}}|ABC");
        assert_int_equal(server_clients(f->server), 0);
        say(f, fd, "{\"method\"");
        expect(f, fd, "[\002METHOD\002");
        close(fd);
        settle(f);
        assert_null(f->upgraded);
}

static void test_upgrade_for_nobody(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);

        f->upgrade_when_cancelled = true;
        say(f, fd, WAIT);
        server_free(take_ptr(f->server));
        assert_int_equal(f->cancels, 1);
        assert_null(f->upgraded);
        expect(f, fd, "$");
        close(fd);
}

/* Told what is wrong, then closed; also when it goes on sending and reads only afterwards. */
static void test_malformed(void **state)
{
        static const struct {
                const char *text, *says;
        } cases[] = {
                {"hello|", "not valid JSON at byte 0: unexpected character"},
                {"|", "not valid JSON at byte 0: ends too early"},
                {"null|", "there is only null"},
                {"[]|", "not a Varlink call: must be a JSON object"},
                {"{}|", "not a Varlink call: 'method' is missing"},
                {"{'method':'t.Echo'}|", "not valid JSON at byte 1: expected a key in double quotes"},
                {"{\"method\":\"t.Echo\",\"x\":1}|", "not a Varlink call: 'x' is not a known field"},
                {"{\"method\":\"t.Echo\",\"\\u006dethod\":\"t.Fail\"}|", "not valid JSON: the key 'method' is there twice"},
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                int fd = dial(f);
                autofree char *said = xasprintf(ECHO(7) "%s" ECHO(8), cases[i].text);
                autofree char *expected = xasprintf(
                        REPLY(7) "{\"error\":\"org.initvm.Protocol\",\"parameters\":{\"message\":\"%s\"}}|$", cases[i].says);
                say(f, fd, said);
                say(f, fd, "and more that nobody wants");
                expect(f, fd, expected);
                close(fd);
                settle(f);
                assert_int_equal(server_clients(f->server), 0);
        }
}

static void test_oversize(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);
        autofree char *text = xcalloc(VARLINK_MESSAGE_MAX + 300000, 1);

        memset(text, ' ', VARLINK_MESSAGE_MAX + 300000 - 1);
        say(f, fd, text);
        expect(f, fd, "{\"error\":\"org.initvm.Protocol\",\"parameters\":{\"message\":\"message of more than 1 MiB\"}}|$");
        close(fd);
}

static void test_introspection(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);

        say(f, fd, "{\"method\":\"org.varlink.service.GetInfo\"}|");
        expect(f, fd,
               "{\"parameters\":{\"vendor\":\"initvm\",\"product\":\"initvmd\",\"version\":\"1.2.3\",\"url\":\"\","
               "\"interfaces\":[\"org.varlink.service\",\"t\"]}}|");
        say(f, fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"t\"}}|");
        expect(f, fd, "{\"parameters\":{\"description\":\"interface t\\n\"}}|");
        say(f, fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"u\"}}|");
        expect(f, fd, "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"u\"}}|");
        say(f, fd, "{\"method\":\"t.None\"}|{\"method\":\"org.varlink.service.Nothing\"}|" ECHO(1));
        expect(f, fd,
               "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"t.None\"}}|"
               "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"org.varlink.service.Nothing\"}}"
               "|" REPLY(1));
        close(fd);
}

static void test_client_limit(void **state)
{
        struct fixture *f = *state;
        static int clients[SERVER_CLIENTS_MAX];
        int over;

        for (int i = 0; i < SERVER_CLIENTS_MAX; i++) {
                clients[i] = dial(f);
                settle(f);
        }
        assert_int_equal(server_clients(f->server), SERVER_CLIENTS_MAX);
        over = dial(f);
        say(f, over, ECHO(1));
        expect(f, over,
               "{\"error\":\"org.initvm.State\",\"parameters\":{\"message\":\"more than 256 clients at once; try again when one "
               "has ended\"}}|$");
        close(over);
        say(f, clients[255], ECHO(2)); /* the others are served on */
        expect(f, clients[255], REPLY(2));
        close(clients[0]);
        settle(f);
        over = dial(f);
        say(f, over, ECHO(3));
        expect(f, over, REPLY(3));
        close(over);
        for (int i = 1; i < SERVER_CLIENTS_MAX; i++)
                close(clients[i]);
}

/* A client that asks without reading is closed; it cannot make the server hold any amount of answers. */
static void test_never_reads(void **state)
{
        struct fixture *f = *state;
        int fd = dial(f);
        autofree char *call = xasprintf("{\"method\":\"t.Echo\",\"parameters\":{\"x\":\"%060000d\"}}", 0);
        size_t n = strlen(call) + 1;
        int sent = 0;

        while (sent < 400 && send(fd, call, n, MSG_NOSIGNAL) == (ssize_t)n) {
                sent++;
                settle(f);
        }
        assert_true(sent > 60 && sent < 100);
        assert_int_equal(server_clients(f->server), 0);
        close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_calls),         TEST(test_one_at_a_time),      TEST(test_pipelined_many),
                TEST(test_sends_ahead),   TEST(test_progress),           TEST(test_flags),
                TEST(test_cancel_gone),   TEST(test_cancel_half_closed), TEST(test_cancel_answers_at_once),
                TEST(test_cancel_unset),  TEST(test_server_freed),       TEST(test_upgrade),
                TEST(test_malformed),     TEST(test_upgrade_for_nobody), TEST(test_oversize),
                TEST(test_introspection), TEST(test_client_limit),       TEST(test_never_reads),
        };

        return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
