/* SPDX-License-Identifier: MIT */
/* A server that has no file descriptor left for a client. */
#include "io/server.h"

#include "base/file.h"
#include "scratch.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static const char call[] = "{\"method\":\"org.varlink.service.GetInfo\"}";

/* More would be a loop that never comes to rest. */
#define ROUNDS_MAX 100

static void settle(struct loop *loop)
{
        struct pollfd p = {.fd = loop_epoll_fd(loop), .events = POLLIN};

        for (int i = 0; poll(&p, 1, 0) > 0; i++) {
                assert_true(i < ROUNDS_MAX);
                loop_dispatch(loop);
        }
}

static int dial(const struct sockaddr_un *address)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
        fd_set_nonblock(fd, true);
        return fd;
}

static bool is_served(struct loop *loop, int fd)
{
        char reply[4096];
        ssize_t n = send(fd, call, sizeof(call), MSG_NOSIGNAL); /* with the NUL */

        settle(loop);
        if (n == (ssize_t)sizeof(call))
                n = recv(fd, reply, sizeof(reply), 0);
        assert_true(n >= 0 || errno == EPIPE || errno == ECONNRESET);
        return n > 0;
}

/* Who cannot be taken is hung up on, and does not keep the loop busy; the others are served, and the next one later. */
static void test_no_descriptors(void **state)
{
        static const struct server_interface interface = {.name = "t", .description = "interface t\n"};
        autofree char *path = scratch_path(state, "socket");
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct loop *loop = loop_new();
        struct server *server;
        struct rlimit limit, none;
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int first, refused, later;

        assert_true(strlen(path) < sizeof(address.sun_path));
        memcpy(address.sun_path, path, strlen(path));
        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(listener, 8), 0);
        server = server_new(loop, listener, &interface, "1.2.3", NULL);
        first = dial(&address);
        assert_true(is_served(loop, first));

        refused = dial(&address);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        none = limit;
        none.rlim_cur = (rlim_t)refused; /* the highest that is open: all below are taken */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_false(is_served(loop, refused));
        assert_true(is_served(loop, first));
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        later = dial(&address);
        assert_true(is_served(loop, later));

        close(first);
        close(refused);
        close(later);
        settle(loop);
        server_free(server);
        settle(loop);
        loop_free(loop);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_no_descriptors, scratch_setup, scratch_teardown)};

        return cmocka_run_group_tests_name("server: accept", tests, NULL, NULL);
}
