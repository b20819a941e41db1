/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

bool fd_is_pollable(int fd)
{
        autoclose int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event ev = {.events = 0};

        return epoll_fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0;
}

/* O_NONBLOCK belongs to the file description, which the shell and other programs share with us. Opening the same pipe or
 * terminal again gives one of our own (proc(5)); -1 where that cannot be, as with sockets. */
static int reopen_nonblocking(int fd)
{
        struct stat st;
        char path[64];

        if (fstat(fd, &st) < 0 || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
                return -1;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void output_init(struct output *o, struct loop *loop, int fd)
{
        int own;

        o->loop = loop;
        o->fd = fd;
        o->pollable = fd_is_pollable(fd);
        own = o->pollable ? reopen_nonblocking(fd) : -1;
        if (own >= 0) {
                o->fd = own;
                o->own_fd = true;
        }
}

void output_done(struct output *o)
{
        loop_source_free(o->source);
        if (o->own_fd)
                close(o->fd);
        buf_done(&o->pending);
        o->source = NULL;
        o->own_fd = false;
}

/* As much as goes without blocking. A shared pipe takes PIPE_BUF bytes once it is writable, see pipe(7). */
static ssize_t write_once(struct output *o)
{
        struct pollfd p = {.fd = o->fd, .events = POLLOUT};

        if (o->own_fd || !o->pollable)
                return write(o->fd, buf_head(&o->pending), buf_size(&o->pending));
        if (poll(&p, 1, 0) <= 0) {
                errno = EAGAIN;
                return -1;
        }
        return write(o->fd, buf_head(&o->pending), MIN(buf_size(&o->pending), (size_t)PIPE_BUF));
}

static void on_writable(void *userdata, uint32_t events);

static void flush(struct output *o)
{
        size_t before = buf_size(&o->pending);
        int errnum = 0;

        while (buf_size(&o->pending) > 0 && errnum == 0) {
                ssize_t n = write_once(o);

                if (n >= 0)
                        buf_consume(&o->pending, (size_t)n);
                else if (errno != EINTR)
                        errnum = errno;
        }
        if (errnum == EAGAIN && !o->source) {
                o->source = loop_add_fd(o->loop, o->fd, EPOLLOUT, on_writable, o);
        } else if (errnum != EAGAIN) {
                loop_source_free(take_ptr(o->source));
        }
        if (before > buf_size(&o->pending))
                o->written(o->userdata, before - buf_size(&o->pending));
        if (errnum != 0 && errnum != EAGAIN) {
                o->broken = true;
                buf_consume(&o->pending, buf_size(&o->pending));
                o->failed(o->userdata, errnum);
        }
}

static void on_writable(void *userdata, uint32_t events)
{
        (void)events;
        flush(userdata);
}

void output_write(struct output *o, const void *data, size_t n)
{
        bool waiting = buf_size(&o->pending) > 0;

        if (o->broken)
                return;
        buf_append(&o->pending, data, n);
        if (!waiting)
                flush(o);
}
