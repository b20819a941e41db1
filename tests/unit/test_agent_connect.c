/* SPDX-License-Identifier: MIT */
/* Connections through the agent into the guest.  The peers are this process, or a server that it forks. */
#include "agent_peer.h"

#include "base/address.h"
#include "base/file.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* More than what is buffered on the way by far. */
#define MUCH (20u << 20)

/* What the kernel may hold of a connection that nobody reads, both ends together; above it tcp(7) would have been told to. */
#define SOCKET_BUFFERS_MAX (12u << 20)

static bool has_eof(void *userdata)
{
        return ((struct run *)userdata)->eof[CHANNEL_STDOUT];
}

/* A server that gives back what it gets, and ends a connection when the other side has. */
static pid_t fork_echo(const struct peer *p)
{
        pid_t pid = fork();

        assert_return_code(pid, errno);
        if (pid > 0)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGCHLD, SIG_IGN);
        for (;;) {
                static char data[65536];
                ssize_t n;
                int fd = accept(p->listener, NULL, NULL);

                if (fork() == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        while ((n = read(fd, data, sizeof(data))) > 0)
                                if (fd_write_all(fd, data, (size_t)n) < 0)
                                        _exit(1);
                        _exit(0);
                }
                close(fd);
        }
}

static void end_echo(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

static void test_echo(void **state)
{
        static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
        struct host *h = host_start_synced();
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
                struct peer p;
                struct run *r;
                pid_t pid;

                peer_listen(&p, families[i]);
                pid = fork_echo(&p);
                r = open_method(h, "Connect", p.address);
                r->echo = true;
                r->to_send = MUCH;
                assert_ended_well(h, r);
                assert_int_equal(r->received[CHANNEL_STDOUT], MUCH);
                end_echo(pid);
                peer_done(&p);
        }
        host_stop(h);
}

/* localhost is 127.0.0.1, and ::1 where nobody is there. */
static void test_localhost(void **state)
{
        static const int families[] = {AF_INET, AF_INET6};
        struct host *h = host_start_synced();
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
                struct peer p;
                struct run *r;
                int fd;

                peer_listen(&p, families[i]);
                snprintf(p.address, sizeof(p.address), "localhost%s", strrchr(strdupa(p.address), ':'));
                r = connect_peer(h, &p, &fd);
                close(fd);
                send_eof(h, r);
                assert_ended_well(h, r);
                peer_done(&p);
        }
        host_stop(h);
}

static void test_nobody_there(void **state)
{
        struct host *h = host_start_synced();
        struct peer p;
        struct run *r;
        (void)state;

        peer_listen(&p, AF_INET);
        close(p.listener);
        r = open_method(h, "Connect", p.address);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_NOT_FOUND);
        autofree char *text = xasprintf("nothing listens on port %s in the VM", strchr(p.address, ':') + 1);
        assert_string_equal(r->err.message, text);

        r = open_method(h, "Connect", "/nonexistent/socket");
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_NOT_FOUND);
        assert_string_equal(r->err.message, "there is no socket '/nonexistent/socket' in the VM");

        peer_listen(&p, AF_UNIX);
        close(p.listener);
        r = open_method(h, "Connect", p.address);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_NOT_FOUND);
        assert_non_null(strstr(r->err.message, "nothing listens on '/tmp/"));
        tree_remove(p.folder, NULL);
        host_stop(h);
}

static void test_bad_addresses(void **state)
{
        static const struct {
                const char *method, *address, *message;
        } cases[] = {
                {"Connect", "", "neither HOST:PORT"},
                {"Connect", "80", "neither HOST:PORT"},
                {"Connect", "run/x.sock", "neither HOST:PORT"},
                {"Connect", "localhost:0", "port 0"},
                {"Connect", "localhost:65536", "not a port"},
                {"Connect", "localhost:", "not a port"},
                {"Connect", "localhost:+1", "not a port"},
                {"Connect", ":80", "not an address"},
                {"Connect", "debian.org:80", "names are not looked up"},
                {"Connect", "127.1:80", "not an address"},
                {"Connect", "::1:80", "not an address"},
                {"Connect", "[127.0.0.1]:80", "not an address"},
                {"Connect", "[::1:80", "not an address"},
                {"Listen", "0.0.0:80", "not an address"},
                {"Listen", "192.0.2.1:80", "there is no address '192.0.2.1:80'"},
                {"Listen", "/nonexistent/socket", "No such file"},
        };
        struct host *h = host_start_synced();
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct run *r = open_method(h, cases[i].method, cases[i].address);

                host_wait(h, r);
                if (!r->err.code || !strstr(r->err.message, cases[i].message))
                        fail_msg("%s %s: %s", cases[i].method, cases[i].address, r->err.message);
        }
        host_stop(h);
}

/* The host ends its direction first; what the peer sends afterwards still comes. And data right behind the call is not lost. */
static void test_host_ends_first(void **state)
{
        struct host *h = host_start_synced();
        char data[16];
        struct peer p;
        struct run *r;
        int fd;
        (void)state;

        peer_listen(&p, AF_INET);
        r = open_method(h, "Connect", p.address);
        send_data(h, r, "question");
        send_eof(h, r);
        host_wait_started(h, r);
        fd = accept(p.listener, NULL, NULL);
        assert_int_equal(peer_read(h, fd, data, sizeof(data)), 8);
        assert_memory_equal(data, "question", 8);
        assert_int_equal(peer_read(h, fd, data, sizeof(data)), 0);
        assert_int_equal(write(fd, "answer", 6), 6);
        host_wait_output(h, r, 6);
        assert_false(r->done);
        close(fd);
        assert_ended_well(h, r);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), "answer");
        peer_done(&p);
        host_stop(h);
}

static void test_peer_ends_first(void **state)
{
        struct host *h = host_start_synced();
        char data[16];
        struct peer p;
        struct run *r;
        int fd;
        (void)state;

        peer_listen(&p, AF_INET);
        r = connect_peer(h, &p, &fd);
        assert_int_equal(write(fd, "banner", 6), 6);
        shutdown(fd, SHUT_WR);
        assert_true(host_until(h, HOST_DEADLINE_MS, has_eof, r));
        assert_false(r->done);
        send_data(h, r, "late");
        assert_int_equal(peer_read(h, fd, data, sizeof(data)), 4);
        send_eof(h, r);
        assert_int_equal(peer_read(h, fd, data, sizeof(data)), 0);
        assert_ended_well(h, r);
        close(fd);
        peer_done(&p);
        host_stop(h);
}

/* A unix peer that is gone in both directions ends it, although the host has not ended its own. */
static void test_unix_peer_gone(void **state)
{
        struct host *h = host_start_synced();
        struct peer p;
        struct run *r;
        int fd;
        (void)state;

        peer_listen(&p, AF_UNIX);
        r = connect_peer(h, &p, &fd);
        assert_int_equal(write(fd, "bye", 3), 3);
        close(fd);
        assert_ended_well(h, r);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), "bye");
        peer_done(&p);
        host_stop(h);
}

static void close_with_reset(int fd)
{
        const struct linger now = {.l_onoff = 1};

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(fd);
}

static void test_peer_resets(void **state)
{
        struct host *h = host_start_synced();
        struct peer p;
        struct run *r;
        int fd;
        (void)state;

        peer_listen(&p, AF_INET);
        r = connect_peer(h, &p, &fd);
        close_with_reset(fd);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_DISCONNECTED);
        assert_non_null(strstr(r->err.message, "reset"));

        /* In the middle of what is sent to it. */
        r = connect_peer(h, &p, &fd);
        r->to_send = MUCH;
        assert_true(peer_read(h, fd, (char[1]){0}, 1) == 1);
        close_with_reset(fd);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_DISCONNECTED);
        peer_done(&p);
        host_stop(h);
}

/* The host goes in the middle: by CLOSE or by a sync. The peer must not take that for an end. */
static void test_host_leaves(void **state)
{
        struct host *h = host_start_synced();
        char data[16];
        struct peer p;
        struct run *r;
        int fd;
        (void)state;

        peer_listen(&p, AF_INET);
        r = connect_peer(h, &p, &fd);
        host_close(h, r);
        assert_int_equal(peer_read(h, fd, data, sizeof(data)), -1);
        assert_int_equal(errno, ECONNRESET);
        close(fd);
        r = connect_peer(h, &p, &fd);
        host_sync(h, false);
        assert_int_equal(peer_read(h, fd, data, sizeof(data)), -1);
        close(fd);
        /* While it is still being connected: nobody is hurt. */
        r = open_method(h, "Connect", p.address);
        host_close(h, r);
        r = connect_peer(h, &p, &fd);
        peer_done(&p);
        close(fd);
        host_stop(h);
}

static void test_many_at_once(void **state)
{
        struct host *h = host_start_synced();
        struct run *runs[64];
        struct peer p;
        pid_t pid;
        (void)state;

        peer_listen(&p, AF_INET);
        pid = fork_echo(&p);
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                runs[i] = open_method(h, "Connect", p.address);
                runs[i]->echo = true;
                runs[i]->to_send = 300000 + i;
        }
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
                assert_ended_well(h, runs[i]);
                assert_int_equal(runs[i]->received[CHANNEL_STDOUT], 300000 + i);
        }
        end_echo(pid);
        peer_done(&p);
        host_stop(h);
}

static bool no_more_credit(void *userdata)
{
        return ((struct run *)userdata)->credit == 0;
}

/* A peer that does not read: the host's credit runs out, memory stays, others are served; then it reads, and all comes. */
static void test_peer_does_not_read(void **state)
{
        struct host *h = host_start_synced();
        static char data[1 << 20];
        struct run *r, *other;
        uint64_t rss, got = 0;
        struct peer p;
        int fd, other_fd;
        ssize_t n;
        (void)state;

        peer_listen(&p, AF_INET);
        r = connect_peer(h, &p, &fd);
        rss = process_rss(h->pid);
        r->to_send = 2 * SOCKET_BUFFERS_MAX;
        assert_true(host_until(h, HOST_DEADLINE_MS, no_more_credit, r));
        while (host_until(h, 300, has_eof, r) || r->credit > 0) /* what the kernel still takes */
                assert_true(r->sent < SOCKET_BUFFERS_MAX);
        assert_true(r->to_send > 0);
        assert_true(process_rss(h->pid) < rss + 8 * FRAME_WINDOW);
        other = connect_peer(h, &p, &other_fd);
        send_data(h, other, "alive");
        assert_int_equal(peer_read(h, other_fd, data, sizeof(data)), 5);
        while ((n = peer_read(h, fd, data, sizeof(data))) > 0)
                got += (uint64_t)n;
        assert_int_equal(got, 2 * SOCKET_BUFFERS_MAX);
        close(fd);
        assert_ended_well(h, r);
        close(other_fd);
        peer_done(&p);
        host_stop(h);
}

/* A peer that floods a host which gives no credit: exactly a window comes. */
static void test_host_gives_no_credit(void **state)
{
        struct host *h = host_start_synced();
        static char data[2 * FRAME_WINDOW];
        uint64_t ticks;
        struct peer p;
        struct run *r;
        int fd;
        (void)state;

        peer_listen(&p, AF_INET);
        r = connect_peer(h, &p, &fd);
        r->no_grants = true;
        fd_set_nonblock(fd, true);
        assert_true(write(fd, data, sizeof(data)) > (ssize_t)FRAME_WINDOW);
        host_wait_output(h, r, FRAME_WINDOW);
        ticks = process_ticks(h->pid);
        host_for(h, 300);
        assert_true(process_ticks(h->pid) - ticks <= (uint64_t)sysconf(_SC_CLK_TCK) / 10);
        assert_int_equal(r->received[CHANNEL_STDOUT], FRAME_WINDOW);
        frame_write_credit(&h->out, r->id, 1000); /* and it goes on */
        r->no_grants = false;
        host_wait_output(h, r, FRAME_WINDOW + 1000);
        close(fd);
        peer_done(&p);
        host_stop(h);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_echo),
                cmocka_unit_test(test_localhost),
                cmocka_unit_test(test_nobody_there),
                cmocka_unit_test(test_bad_addresses),
                cmocka_unit_test(test_host_ends_first),
                cmocka_unit_test(test_peer_ends_first),
                cmocka_unit_test(test_unix_peer_gone),
                cmocka_unit_test(test_peer_resets),
                cmocka_unit_test(test_host_leaves),
                cmocka_unit_test(test_many_at_once),
                cmocka_unit_test(test_peer_does_not_read),
                cmocka_unit_test(test_host_gives_no_credit),
        };

        return cmocka_run_group_tests_name("agent connections", tests, NULL, NULL);
}
