/* SPDX-License-Identifier: MIT */
#include "agent/port.h"

#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int open_inherited(const char *number, struct error *err)
{
        uint64_t fd;
        struct stat st;

        if (parse_u64(number, 0, INT_MAX, &fd) < 0)
                return error_set(err, ERR_INVALID, "'fd:%s' must name a file descriptor by its number", number);
        if (fstat((int)fd, &st) < 0)
                return error_errno(err, errno, "cannot use file descriptor %s", number);
        if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 || fd_set_nonblock((int)fd, true) < 0)
                return error_errno(err, errno, "cannot use file descriptor %s", number);
        return (int)fd;
}

static int open_socket(const char *path, struct error *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        autoclose int fd = -1;

        if (strlen(path) >= sizeof(address.sun_path))
                return error_set(err, ERR_INVALID, "the path '%s' is too long for a socket", path);
        memcpy(address.sun_path, path, strlen(path));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || fd_set_nonblock(fd, true) < 0)
                return error_errno(err, errno, "cannot connect to '%s'", path);
        return take_fd(&fd);
}

static int open_device(const char *path, struct error *err)
{
        int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

        if (fd < 0 && errno == EBUSY)
                return error_set(err, ERR_STATE, "'%s' is open already: is another initvm-agent running?", path);
        if (fd < 0)
                return error_errno(err, errno, "cannot open '%s'", path);
        return fd;
}

int port_open(struct port *port, const char *spec, struct error *err)
{
        autoclose int fd = -1;
        struct stat st;

        if (str_has_prefix(spec, "fd:"))
                fd = open_inherited(spec + 3, err);
        else if (stat(spec, &st) < 0)
                return error_errno(err, errno, "cannot open '%s'", spec);
        else if (S_ISSOCK(st.st_mode))
                fd = open_socket(spec, err);
        else if (S_ISCHR(st.st_mode))
                fd = open_device(spec, err);
        else
                return error_set(err, ERR_INVALID, "'%s' is neither a character device nor a socket", spec);
        if (fd < 0)
                return -1;
        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "cannot use '%s'", spec);
        if (!S_ISCHR(st.st_mode) && !S_ISSOCK(st.st_mode))
                return error_set(err, ERR_INVALID, "'%s' is neither a character device nor a socket", spec);
        port->device = S_ISCHR(st.st_mode);
        port->fd = port->out = take_fd(&fd);
        return 0;
}

/* A copy of a standard fd, out of the way of commands, non-blocking; /dev/null is in its place then. */
static int take_standard(int standard, const char *name, struct error *err)
{
        autoclose int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        autoclose int fd = fcntl(standard, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "cannot use the standard %s", name);
        if (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
                return error_set(err, ERR_INVALID,
                                 "the standard %s is neither a pipe nor a socket; --stdio is for a program that "
                                 "carries the bytes, such as an SSH server",
                                 name);
        if (null_fd < 0 || fd_set_nonblock(fd, true) < 0 || dup2(null_fd, standard) < 0)
                return error_errno(err, errno, "cannot use the standard %s", name);
        return take_fd(&fd);
}

int port_open_stdio(struct port *port, struct error *err)
{
        port->device = false;
        port->fd = take_standard(STDIN_FILENO, "input", err);
        if (port->fd < 0)
                return -1;
        port->out = take_standard(STDOUT_FILENO, "output", err);
        return port->out < 0 ? -1 : 0;
}

void port_done(struct port *port)
{
        if (port->out != port->fd)
                cleanup_close(&port->out);
        cleanup_close(&port->fd);
        port->fd = port->out = -1;
}

ssize_t port_read(struct port *port, void *data, size_t n)
{
        ssize_t r;

        do
                r = read(port->fd, data, n);
        while (r < 0 && errno == EINTR);
        if (r > 0)
                return r;
        if (r == 0)
                return port->device ? 0 : -1;
        return errno == EAGAIN ? 0 : -1;
}

ssize_t port_write(struct port *port, const void *data, size_t n)
{
        ssize_t r;

        do
                r = write(port->out, data, n);
        while (r < 0 && errno == EINTR);
        if (r >= 0)
                return r;
        return errno == EAGAIN ? 0 : -1;
}
