/* SPDX-License-Identifier: MIT */
#include "io/socket.h"

#include "base/util.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

struct dial {
        struct loop *loop;
        struct address_socket sockets[ADDRESS_SOCKADDRS_MAX];
        size_t n_sockets, at;
        int fd;
        struct loop_source *source;
        struct loop_source *deadline;
        int errnum; /* of the first one: it is the one that is meant */
        bool cancelled;
        dial_fn fn;
        void *userdata;
};

static void stop_trying(struct dial *d)
{
        loop_source_free(take_ptr(d->source));
        cleanup_close(&d->fd);
        d->fd = -1;
}

static void dial_free(struct dial *d)
{
        stop_trying(d);
        loop_source_free(d->deadline);
        free(d);
}

static void finish(struct dial *d, int errnum)
{
        dial_fn fn = d->fn;
        void *userdata = d->userdata;
        int fd = -1;

        loop_source_free(take_ptr(d->source));
        if (errnum == 0)
                fd = take_fd(&d->fd);
        dial_free(d);
        fn(userdata, fd, errnum);
}

static void on_connected(void *userdata, uint32_t events);

/* 0 when it is under way, else the reason why not (or 0 with no source when it stands already). */
static int try_one(struct dial *d)
{
        const struct address_socket *s = &d->sockets[d->at];

        d->fd = socket(s->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (d->fd < 0)
                return errno;
        if (connect(d->fd, (const struct sockaddr *)&s->storage, s->size) < 0 && errno != EINPROGRESS)
                return errno;
        d->source = loop_add_fd(d->loop, d->fd, EPOLLOUT, on_connected, d);
        return 0;
}

static void try_rest(struct dial *d)
{
        for (; d->at < d->n_sockets; d->at++) {
                int errnum = try_one(d);

                if (errnum == 0)
                        return;
                d->errnum = d->errnum ? d->errnum : errnum;
                stop_trying(d);
        }
        finish(d, d->errnum);
}

static void on_connected(void *userdata, uint32_t events)
{
        struct dial *d = userdata;
        socklen_t size = sizeof(int);
        int errnum = 0;

        (void)events;
        if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
                errnum = errno;
        if (errnum == 0) {
                socket_no_delay(d->fd);
                finish(d, 0);
                return;
        }
        d->errnum = d->errnum ? d->errnum : errnum;
        stop_trying(d);
        d->at++;
        try_rest(d);
}

static void on_deadline(void *userdata)
{
        struct dial *d = userdata;

        finish(d, ETIMEDOUT);
}

static void on_start(void *userdata)
{
        struct dial *d = userdata;

        if (d->cancelled) {
                dial_free(d);
                return;
        }
        d->deadline = loop_add_timer(d->loop, on_deadline, d);
        loop_timer_arm(d->deadline, DIAL_TIMEOUT_MS);
        try_rest(d);
}

struct dial *dial_start(struct loop *loop, const struct address *address, dial_fn fn, void *userdata)
{
        struct dial *d = xcalloc(1, sizeof(*d));

        d->loop = loop;
        d->fd = -1;
        d->fn = fn;
        d->userdata = userdata;
        d->n_sockets = address_sockets(address, d->sockets);
        loop_post(loop, on_start, d);
        return d;
}

void dial_cancel(struct dial *d)
{
        if (!d)
                return;
        if (d->deadline)
                dial_free(d);
        else
                d->cancelled = true; /* the post has it still */
}

int dial_error(const struct address *a, const char *where, int errnum, struct error *err)
{
        autofree char *text = address_text(a);

        switch (errnum) {
        case ECONNREFUSED:
                if (address_is_unix(a) || !address_is_loopback(a))
                        return error_set(err, ERR_NOT_FOUND, "nothing listens on '%s' (looked for %s)", text, where);
                return error_set(err, ERR_NOT_FOUND, "nothing listens on port %u %s", a->port, where);
        case ENOENT:
                return error_set(err, ERR_NOT_FOUND, "there is no socket '%s' %s", text, where);
        case ETIMEDOUT:
                return error_set(err, ERR_TIMEOUT, "'%s' %s did not answer within %u s", text, where, DIAL_TIMEOUT_MS / 1000);
        case EAGAIN:
                return error_set(err, ERR_STATE, "'%s' %s takes no more connections at the moment; try again", text, where);
        default:
                return error_errno(err, errnum, "cannot connect to '%s' %s", text, where);
        }
}

/* The file of a socket that nobody listens on: its program was killed. */
static bool is_stale(const struct address_socket *s, const char *path)
{
        autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct stat st;

        return fd >= 0 && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
               connect(fd, (const struct sockaddr *)&s->storage, s->size) < 0 && errno == ECONNREFUSED;
}

/* The mode that a socket has when it is bound becomes that of its file, on Linux. */
static int bind_unix(int fd, const struct address_socket *s, const char *path)
{
        if (fchmod(fd, 0600) < 0)
                return -1;
        if (bind(fd, (const struct sockaddr *)&s->storage, s->size) == 0)
                return 0;
        if (errno != EADDRINUSE)
                return -1;
        if (!is_stale(s, path)) {
                errno = EADDRINUSE;
                return -1;
        }
        unlink(path);
        return bind(fd, (const struct sockaddr *)&s->storage, s->size);
}

static int bind_tcp(int fd, const struct address_socket *s)
{
        const int yes = 1;

        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)); /* old connections do not keep a port */
        return bind(fd, (const struct sockaddr *)&s->storage, s->size);
}

static int listen_error(const char *text, const char *where, int errnum, struct error *err)
{
        if (errnum == EADDRINUSE)
                return error_set(err, ERR_EXISTS, "'%s' %s is in use already: choose another one", text, where);
        if (errnum == EADDRNOTAVAIL)
                return error_set(err, ERR_INVALID, "there is no address '%s' %s to listen on", text, where);
        return error_errno(err, errnum, "cannot listen on '%s' %s", text, where);
}

int socket_listen(const struct address *a, const char *where, struct address *ret_bound, struct error *err)
{
        struct address_socket sockets[ADDRESS_SOCKADDRS_MAX];
        struct sockaddr_storage bound = {0};
        socklen_t size = sizeof(bound);
        autofree char *text = address_text(a);
        autoclose int fd = -1;

        address_sockets(a, sockets);
        fd = socket(sockets[0].storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || (address_is_unix(a) ? bind_unix(fd, &sockets[0], a->path) : bind_tcp(fd, &sockets[0])) < 0 ||
            listen(fd, LISTEN_BACKLOG) < 0 || getsockname(fd, (struct sockaddr *)&bound, &size) < 0)
                return listen_error(text, where, errno, err);
        if (address_is_unix(a))
                *ret_bound = *a;
        else
                address_from_socket(ret_bound, &bound);
        return take_fd(&fd);
}

void socket_unlink(const struct address *bound)
{
        if (address_is_unix(bound))
                unlink(bound->path);
}

void socket_no_delay(int fd)
{
        const int yes = 1;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

void socket_reset(int owned_fd)
{
        const struct linger now = {.l_onoff = 1, .l_linger = 0};

        setsockopt(owned_fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(owned_fd);
}
