/* SPDX-License-Identifier: MIT */
/* Listening in the guest through the agent. */
#include "agent_peer.h"

#include "base/file.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The agent's own, agent/listen.h. */
#define WAITING_MAX      16
#define LISTENERS_MAX    16
#define CLAIM_TIMEOUT_MS 10000

static void test_listen(void **state)
{
        struct host *h = host_start_synced();
        struct run *l = open_method(h, "Listen", "127.0.0.1:0"), *r;
        char data[16];
        int fd;
        (void)state;

        host_wait_started(h, l);
        fd = dial(l->address);
        host_wait_connections(h, l, 1);
        r = open_accept(h, l->connections[0]);
        host_wait_started(h, r);
        send_data(h, r, "hello");
        assert_int_equal(peer_read(h, fd, data, sizeof(data)), 5);
        assert_int_equal(write(fd, "back", 4), 4);
        shutdown(fd, SHUT_WR);
        send_eof(h, r);
        assert_ended_well(h, r);
        assert_string_equal(run_text(r, CHANNEL_STDOUT), "back");
        close(fd);

        /* A number is good once. */
        r = open_accept(h, l->connections[0]);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_NOT_FOUND);

        /* The address is taken while it is listened on, and free afterwards; who waits then is reset. */
        autofree char *address = xstrdup(l->address);
        r = open_method(h, "Listen", address);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_EXISTS);
        fd = dial(address);
        host_wait_connections(h, l, 2);
        host_close(h, l);
        assert_int_equal(peer_read(h, fd, data, sizeof(data)), -1);
        close(fd);
        l = open_method(h, "Listen", address);
        host_wait_started(h, l);
        assert_string_equal(l->address, address);
        host_stop(h);
}

static void test_listen_unix(void **state)
{
        struct host *h = host_start_synced();
        char folder[] = "/tmp/initvm-test-XXXXXX", data[16];
        struct run *l, *r;
        struct stat st;
        int fd;
        (void)state;

        assert_non_null(mkdtemp(folder));
        autofree char *path = xasprintf("%s/socket", folder), *file = xasprintf("%s/file", folder);
        l = open_method(h, "Listen", path);
        host_wait_started(h, l);
        assert_return_code(stat(path, &st), errno);
        assert_int_equal(st.st_mode, S_IFSOCK | 0600);
        fd = dial(path);
        host_wait_connections(h, l, 1);
        r = open_accept(h, l->connections[0]);
        send_data(h, r, "hello");
        assert_int_equal(peer_read(h, fd, data, sizeof(data)), 5);
        close(fd);
        assert_ended_well(h, r);
        r = open_method(h, "Listen", path);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_EXISTS);

        /* The file goes with the listener. One that a killed program left is replaced, another file is not. */
        host_close(h, l);
        l = open_method(h, "Listen", path);
        host_wait_started(h, l);
        kill(h->pid, SIGKILL);
        assert_true(WIFSIGNALED(host_wait_exit(h)));
        assert_return_code(stat(path, &st), errno);
        h = host_start_synced();
        l = open_method(h, "Listen", path);
        host_wait_started(h, l);
        close(dial(path));
        assert_return_code(file_write_atomic(file, 0644, "x", 1, NULL), 0);
        l = open_method(h, "Listen", file);
        host_wait(h, l);
        assert_int_equal(l->err.code, ERR_EXISTS);
        host_stop(h);
        assert_int_equal(stat(path, &st), -1);
        tree_remove(folder, NULL);
}

static void test_listeners_limit(void **state)
{
        struct host *h = host_start_synced();
        struct run *r = NULL;
        (void)state;

        for (int i = 0; i < LISTENERS_MAX; i++) {
                r = open_method(h, "Listen", "127.0.0.1:0");
                host_wait_started(h, r);
        }
        struct run *refused = open_method(h, "Listen", "127.0.0.1:0");
        host_wait(h, refused);
        assert_int_equal(refused->err.code, ERR_STATE);
        host_close(h, r);
        r = open_method(h, "Listen", "127.0.0.1:0");
        host_wait_started(h, r);
        host_stop(h);
}

/* So many are told, the rest waits in the kernel; taking one tells the next; those that nobody takes are reset. */
static void test_unclaimed(void **state)
{
        struct host *h = host_start_synced();
        struct run *l = open_method(h, "Listen", "127.0.0.1:0"), *r;
        int fds[WAITING_MAX + 1];
        uint64_t start = now_ms();
        char data[1];
        (void)state;

        host_wait_started(h, l);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = dial(l->address);
        host_wait_connections(h, l, WAITING_MAX);
        host_for(h, 200);
        assert_int_equal(l->n_connections, WAITING_MAX);
        r = open_accept(h, l->connections[3]);
        host_wait_started(h, r);
        host_wait_connections(h, l, WAITING_MAX + 1);
        for (size_t i = 0; i < WAITING_MAX; i++)
                if (i != 3) {
                        assert_int_equal(peer_read(h, fds[i], data, 1), -1);
                        close(fds[i]);
                }
        assert_true(now_ms() - start >= CLAIM_TIMEOUT_MS - 100);
        assert_false(r->done);
        r = open_accept(h, l->connections[0]);
        host_wait(h, r);
        assert_int_equal(r->err.code, ERR_NOT_FOUND);
        host_stop(h);
        close(fds[3]);
        close(fds[WAITING_MAX]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_listen),
                cmocka_unit_test(test_listen_unix),
                cmocka_unit_test(test_listeners_limit),
                cmocka_unit_test(test_unclaimed),
        };

        return cmocka_run_group_tests_name("agent listening", tests, NULL, NULL);
}
