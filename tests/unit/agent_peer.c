/* SPDX-License-Identifier: MIT */
#include "agent_peer.h"

#include "base/address.h"
#include "base/file.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void peer_listen(struct peer *p, int family)
{
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        struct sockaddr *any = family == AF_UNIX   ? (struct sockaddr *)&un
                               : family == AF_INET ? (struct sockaddr *)&in
                                                   : (struct sockaddr *)&in6;
        socklen_t size = family == AF_UNIX ? sizeof(un) : family == AF_INET ? sizeof(in) : sizeof(in6);

        *p = (struct peer){.listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        assert_return_code(p->listener, errno);
        if (family == AF_UNIX) {
                memcpy(p->folder, "/tmp/initvm-test-XXXXXX", sizeof("/tmp/initvm-test-XXXXXX"));
                assert_non_null(mkdtemp(p->folder));
                snprintf(un.sun_path, sizeof(un.sun_path), "%s/socket", p->folder);
        }
        assert_return_code(bind(p->listener, any, size), errno);
        assert_return_code(listen(p->listener, 128), errno);
        assert_return_code(getsockname(p->listener, any, &size), errno);
        if (family == AF_UNIX)
                snprintf(p->address, sizeof(p->address), "%.60s", un.sun_path);
        else if (family == AF_INET)
                snprintf(p->address, sizeof(p->address), "127.0.0.1:%u", ntohs(in.sin_port));
        else
                snprintf(p->address, sizeof(p->address), "[::1]:%u", ntohs(in6.sin6_port));
}

void peer_done(struct peer *p)
{
        close(p->listener);
        if (p->folder[0])
                tree_remove(p->folder, NULL);
}

struct run *open_method(struct host *h, const char *method, const char *address)
{
        autofree char *call =
                xasprintf("{\"method\":\"org.initvm.agent.%s\",\"parameters\":{\"address\":\"%s\"}}", method, address);

        return host_open(h, call);
}

struct run *open_accept(struct host *h, uint64_t connection)
{
        autofree char *call = xasprintf("{\"method\":\"org.initvm.agent.Accept\",\"parameters\":{\"connection\":%llu}}",
                                        (unsigned long long)connection);

        return host_open(h, call);
}

struct run *connect_peer(struct host *h, struct peer *p, int *ret_fd)
{
        struct run *r = open_method(h, "Connect", p->address);

        host_wait_started(h, r);
        *ret_fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
        assert_return_code(*ret_fd, errno);
        return r;
}

int dial(const char *text)
{
        struct address_socket sockets[ADDRESS_SOCKADDRS_MAX];
        struct address address;
        int fd;

        assert_return_code(address_parse(text, &address, NULL), 0);
        address_sockets(&address, sockets);
        fd = socket(sockets[0].storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_return_code(fd, errno);
        assert_return_code(connect(fd, (struct sockaddr *)&sockets[0].storage, sockets[0].size), errno);
        return fd;
}

void send_data(struct host *h, struct run *r, const char *text)
{
        frame_write(&h->out, FRAME_DATA, r->id, CHANNEL_STDIN, text, strlen(text));
}

void send_eof(struct host *h, struct run *r)
{
        frame_write(&h->out, FRAME_EOF, r->id, CHANNEL_STDIN, NULL, 0);
}

struct readable {
        int fd;
};

static bool is_readable(void *userdata)
{
        struct pollfd p = {.fd = ((struct readable *)userdata)->fd, .events = POLLIN};

        return poll(&p, 1, 0) == 1;
}

ssize_t peer_read(struct host *h, int fd, void *data, size_t n)
{
        struct readable readable = {fd};
        uint64_t end = now_ms() + HOST_DEADLINE_MS;

        while (!is_readable(&readable)) {
                assert_true(now_ms() < end);
                host_until(h, 20, is_readable, &readable);
        }
        return read(fd, data, n);
}

void assert_ended_well(struct host *h, struct run *r)
{
        host_wait(h, r);
        if (r->err.code != ERR_NONE)
                fail_msg("%s", r->err.message);
        assert_true(r->eof[CHANNEL_STDOUT]);
}
