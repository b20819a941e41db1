/* SPDX-License-Identifier: MIT */
#include "io/conn.h"

#include "base/file.h"
#include "scratch.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS_MAX 100000

struct side {
        struct loop *loop;
        struct conn *conn;
        int peer;
        size_t fds;
        struct buf got;
        int inputs, ends, drains;
        enum { KEEP, FREE_AT_INPUT, FINISH_AT_INPUT, FREE_AT_END, FINISH_AT_DRAIN, PAUSE_AT_INPUT } habit;
};

static void take(struct side *s)
{
        struct buf *in = conn_input(s->conn);

        buf_append(&s->got, buf_head(in), buf_size(in));
        buf_consume(in, buf_size(in));
}

static void on_input(void *userdata)
{
        struct side *s = userdata;

        s->inputs++;
        if (s->habit == FINISH_AT_INPUT)
                buf_append(conn_output(s->conn), "last words", 10);
        take(s);
        if (s->habit == PAUSE_AT_INPUT)
                conn_pause_input(s->conn, true);
        if (s->habit == FREE_AT_INPUT)
                conn_free(take_ptr(s->conn));
        else if (s->habit == FINISH_AT_INPUT)
                conn_finish(take_ptr(s->conn));
}

static void on_ended(void *userdata)
{
        struct side *s = userdata;

        s->ends++;
        if (s->habit == FREE_AT_END)
                conn_free(take_ptr(s->conn));
}

static void on_drained(void *userdata)
{
        struct side *s = userdata;

        s->drains++;
        if (s->habit == FINISH_AT_DRAIN)
                conn_finish(take_ptr(s->conn));
}

static const struct conn_events events = {.input = on_input, .ended = on_ended, .drained = on_drained};

static int setup(void **state)
{
        struct side *s = xcalloc(1, sizeof(*s));
        int fds[2];

        s->fds = scratch_open_fds();
        s->loop = loop_new();
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -1;
        s->peer = fds[1];
        s->conn = conn_new(s->loop, fds[0], &events, s);
        *state = s;
        return 0;
}

static int teardown(void **state)
{
        struct side *s = *state;
        size_t fds;

        conn_free(s->conn);
        if (s->peer >= 0)
                close(s->peer);
        for (int i = 0; i < 3; i++)
                loop_dispatch(s->loop); /* finished ones see their peer's end */
        loop_free(s->loop);
        buf_done(&s->got);
        fds = s->fds;
        free(s);
        return scratch_open_fds() == fds ? 0 : -1;
}

/* Until there is nothing to do; a loop that always has something would spin. */
static void settle(struct side *s)
{
        struct pollfd p = {.fd = loop_epoll_fd(s->loop), .events = POLLIN};

        for (int i = 0; poll(&p, 1, 0) > 0; i++) {
                assert_true(i < ROUNDS_MAX);
                loop_dispatch(s->loop);
        }
}

static void say(struct side *s, const char *text)
{
        assert_int_equal(send(s->peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Everything that the peer can read until nothing comes; *ret_end: it saw the end. */
static size_t hear(struct side *s, bool *ret_end)
{
        static char data[65536];
        size_t total = 0;
        ssize_t n;

        do {
                settle(s);
                n = recv(s->peer, data, sizeof(data), 0);
                if (n > 0)
                        total += (size_t)n;
        } while (n > 0);
        if (n < 0)
                assert_int_equal(errno, EAGAIN);
        *ret_end = n == 0;
        return total;
}

static void test_input(void **state)
{
        struct side *s = *state;

        say(s, "one");
        settle(s);
        say(s, " two");
        settle(s);
        assert_int_equal(buf_size(&s->got), 7);
        assert_memory_equal(buf_head(&s->got), "one two", 7);
        assert_int_equal(s->ends, 0);
}

/* What was sent before the end is all delivered, and the end is told once. */
static void test_end_after_data(void **state)
{
        struct side *s = *state;
        char data[4096];

        memset(data, 'x', sizeof(data));
        for (int i = 0; i < 30; i++)
                assert_int_equal(send(s->peer, data, sizeof(data), MSG_NOSIGNAL), (ssize_t)sizeof(data));
        close(s->peer);
        s->peer = -1;
        settle(s);
        assert_int_equal(buf_size(&s->got), 30 * sizeof(data));
        assert_int_equal(s->ends, 1);
        settle(s);
        assert_int_equal(s->ends, 1);
}

static void test_half_close(void **state)
{
        struct side *s = *state;
        bool end;

        say(s, "question");
        shutdown(s->peer, SHUT_WR);
        settle(s);
        assert_int_equal(s->ends, 1);
        assert_false(conn_broken(s->conn));
        buf_append(conn_output(s->conn), "answer", 6);
        conn_flush(s->conn);
        assert_int_equal(hear(s, &end), 6);
        assert_false(end);
        settle(s); /* an end that was told does not keep the loop busy */
        assert_int_equal(s->ends, 1);
}

static void test_broken(void **state)
{
        struct side *s = *state;

        close(s->peer);
        s->peer = -1;
        buf_append(conn_output(s->conn), "into the void", 13);
        conn_flush(s->conn); /* no SIGPIPE */
        assert_true(conn_broken(s->conn));
        assert_int_equal(conn_queued(s->conn), 0);
        settle(s);
        assert_int_equal(s->ends, 1);
        buf_append(conn_output(s->conn), "more", 4);
        conn_flush(s->conn);
        assert_int_equal(conn_queued(s->conn), 0);
}

static void test_output_backlog(void **state)
{
        struct side *s = *state;
        size_t n = 4u << 20;
        bool end;

        memset(buf_reserve(conn_output(s->conn), n), 'y', n);
        buf_commit(conn_output(s->conn), n);
        conn_flush(s->conn);
        assert_true(conn_queued(s->conn) > 0 && conn_queued(s->conn) < n);
        settle(s); /* a full socket is waited for, not tried again and again */
        assert_int_equal(s->drains, 0);
        assert_int_equal(hear(s, &end), n);
        assert_false(end);
        assert_int_equal(s->drains, 1);
        assert_int_equal(conn_queued(s->conn), 0);
}

static void test_pause(void **state)
{
        struct side *s = *state;

        conn_pause_input(s->conn, true);
        conn_pause_input(s->conn, true);
        say(s, "wait");
        settle(s);
        assert_int_equal(s->inputs, 0);
        conn_pause_input(s->conn, false);
        settle(s);
        assert_int_equal(buf_size(&s->got), 4);

        s->habit = PAUSE_AT_INPUT;
        say(s, "a");
        settle(s);
        say(s, "b");
        settle(s);
        assert_int_equal(buf_size(&s->got), 5);
        /* Paused or not, a peer that is gone is noticed, and nothing of it lost. */
        close(s->peer);
        s->peer = -1;
        settle(s);
        assert_int_equal(buf_size(&s->got), 6);
        assert_int_equal(s->ends, 1);
}

static void test_freed_in_callbacks(void **state)
{
        struct side *s = *state;

        s->habit = FREE_AT_INPUT;
        say(s, "x");
        settle(s);
        assert_null(s->conn);
        assert_int_equal(s->inputs, 1);
}

static void test_freed_at_end(void **state)
{
        struct side *s = *state;

        s->habit = FREE_AT_END;
        close(s->peer);
        s->peer = -1;
        settle(s);
        assert_null(s->conn);
        assert_int_equal(s->ends, 1);
        conn_free(NULL);
}

/*
 * The peer has sent more than anybody will read, and reads only afterwards: it still gets the last words and a clean end, no
 * ECONNRESET.
 */
static void test_finish_lingers(void **state)
{
        struct side *s = *state;
        char text[64] = "", data[4096] = "";
        ssize_t n;

        s->habit = FINISH_AT_INPUT;
        for (int i = 0; i < 40; i++)
                send(s->peer, data, sizeof(data), MSG_NOSIGNAL);
        loop_dispatch(s->loop);
        assert_null(s->conn);
        say(s, "and something that comes only now");
        settle(s);
        n = recv(s->peer, text, sizeof(text), 0);
        assert_int_equal(n, 10);
        assert_string_equal(text, "last words");
        assert_int_equal(recv(s->peer, text, sizeof(text), 0), 0);
        say(s, "still no reset");
        settle(s);
        assert_int_equal(s->inputs, 1);
        assert_int_equal(s->ends, 0);
        close(s->peer);
        s->peer = -1;
        settle(s);
        assert_int_equal(scratch_open_fds(), s->fds + 2); /* only the loop's are left */
}

/* Whether a timer runs, as proc(5) tells: a finished connection's is the only one here. */
static bool timer_runs(void)
{
        for (int fd = 3; fd < 100; fd++) {
                autofree char *path = xasprintf("/proc/self/fdinfo/%d", fd), *info = file_read(path, 4096, NULL, NULL);
                if (info && strstr(info, "it_value:"))
                        return !strstr(info, "it_value: (0, 0)");
        }
        return false;
}

/* A finished connection sends all that is queued, however slowly the peer reads, also when the peer has half-closed. */
static void finish_with_backlog(struct side *s, bool half_closed)
{
        size_t n = 2u << 20;
        bool end;

        if (half_closed) {
                shutdown(s->peer, SHUT_WR);
                settle(s);
                assert_int_equal(s->ends, 1);
        } else {
                say(s, "unread");
        }
        memset(buf_reserve(conn_output(s->conn), n), 'z', n);
        buf_commit(conn_output(s->conn), n);
        conn_finish(take_ptr(s->conn));
        settle(s);
        assert_false(timer_runs()); /* a reader may be slow (a pager), only one that has got everything may not dawdle */
        assert_int_equal(hear(s, &end), n);
        assert_true(end);
        assert_int_equal(timer_runs(), !half_closed);
}

static void test_finish_backlog(void **state)
{
        finish_with_backlog(*state, false);
}

static void test_finish_backlog_half_closed(void **state)
{
        finish_with_backlog(*state, true);
}

static void test_finish_peer_gone(void **state)
{
        struct side *s = *state;
        size_t n = 2u << 20;

        memset(buf_reserve(conn_output(s->conn), n), 'z', n);
        buf_commit(conn_output(s->conn), n);
        conn_finish(take_ptr(s->conn));
        settle(s);
        close(s->peer); /* while most of it waits */
        s->peer = -1;
        settle(s);
        assert_int_equal(scratch_open_fds(), s->fds + 2);
}

static void test_finish_after_end(void **state)
{
        struct side *s = *state;

        close(s->peer);
        s->peer = -1;
        settle(s);
        conn_finish(take_ptr(s->conn));
        assert_int_equal(scratch_open_fds(), s->fds + 2);
}

static void test_finish_at_drain(void **state)
{
        struct side *s = *state;
        size_t n = 1u << 20;
        bool end;

        s->habit = FINISH_AT_DRAIN;
        memset(buf_reserve(conn_output(s->conn), n), 'd', n);
        buf_commit(conn_output(s->conn), n);
        conn_flush(s->conn);
        assert_int_equal(hear(s, &end), n);
        assert_true(end);
        assert_null(s->conn);
        assert_int_equal(s->drains, 1);
}

static void on_second_input(void *userdata)
{
        ++*(int *)userdata;
}

static void test_other_owner(void **state)
{
        static const struct conn_events second = {.input = on_second_input};
        struct side *s = *state;
        int inputs = 0;

        say(s, "1");
        settle(s);
        conn_set_events(s->conn, &second, &inputs);
        say(s, "2");
        settle(s);
        assert_int_equal(s->inputs, 1);
        assert_int_equal(inputs, 1);
        assert_memory_equal(buf_head(conn_input(s->conn)), "2", 1);
        close(s->peer); /* no callback for the end: fine */
        s->peer = -1;
        settle(s);
        assert_int_equal(s->ends, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_input, setup, teardown),
                cmocka_unit_test_setup_teardown(test_end_after_data, setup, teardown),
                cmocka_unit_test_setup_teardown(test_half_close, setup, teardown),
                cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
                cmocka_unit_test_setup_teardown(test_output_backlog, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pause, setup, teardown),
                cmocka_unit_test_setup_teardown(test_freed_in_callbacks, setup, teardown),
                cmocka_unit_test_setup_teardown(test_freed_at_end, setup, teardown),
                cmocka_unit_test_setup_teardown(test_finish_lingers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_finish_backlog, setup, teardown),
                cmocka_unit_test_setup_teardown(test_finish_backlog_half_closed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_finish_peer_gone, setup, teardown),
                cmocka_unit_test_setup_teardown(test_finish_after_end, setup, teardown),
                cmocka_unit_test_setup_teardown(test_finish_at_drain, setup, teardown),
                cmocka_unit_test_setup_teardown(test_other_owner, setup, teardown),
        };

        return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
