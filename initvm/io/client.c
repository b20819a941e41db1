/* SPDX-License-Identifier: MIT */
#include "io/client.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* A daemon that does not even take the connection or the call in this time is stuck: both cost it microseconds. */
#define SEND_DEADLINE_S 15

#define READ_SIZE (64u * 1024)

struct client {
        int fd;
        struct buf in;
};

/* "'alice'" or "uid 1000"; owned. */
static char *user_name(uid_t uid)
{
        const struct passwd *pw = getpwuid(uid);
        return pw ? xasprintf("'%s'", pw->pw_name) : xasprintf("uid %u", uid);
}

static int refuse_foreign(const char *path, uid_t uid, struct error *err)
{
        autofree char *user = user_name(uid);

        return error_set(err, ERR_DENIED,
                         "the daemon's socket '%s' belongs to another user, %s: run this command as that user, or set "
                         "INITVM_HOME to a folder of your own",
                         path, user);
}

static int connect_failed(const char *path, int errnum, struct error *err)
{
        struct stat st;

        if (errnum == ENOENT || errnum == ECONNREFUSED)
                return error_set(err, ERR_NOT_FOUND, "no daemon listens on '%s'", path);
        if (stat(path, &st) == 0 && st.st_uid != geteuid())
                return refuse_foreign(path, st.st_uid, err);
        if (errnum == EAGAIN)
                return error_set(err, ERR_TIMEOUT, "the daemon did not take the connection to '%s' within %d s", path,
                                 SEND_DEADLINE_S);
        return error_errno(err, errnum, "cannot connect to the daemon's socket '%s'", path);
}

static int check_peer(int fd, const char *path, struct error *err)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return error_errno(err, errno, "cannot tell whose daemon listens on '%s'", path);
        if (peer.uid != geteuid())
                return refuse_foreign(path, peer.uid, err);
        return 0;
}

struct client *client_connect(const char *path, struct error *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct timeval deadline = {.tv_sec = SEND_DEADLINE_S};
        autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct client *c;

        if (fd < 0) {
                error_errno(err, errno, "cannot make a socket");
                return NULL;
        }
        if (strlen(path) >= sizeof(address.sun_path)) {
                error_set(err, ERR_INVALID, "the socket's path '%s' is too long: set INITVM_HOME to a shorter one", path);
                return NULL;
        }
        memcpy(address.sun_path, path, strlen(path));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline)); /* bounds connect(2) as well, see socket(7) */
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
                connect_failed(path, errno, err);
                return NULL;
        }
        if (check_peer(fd, path, err) < 0)
                return NULL;
        c = xcalloc(1, sizeof(*c));
        c->fd = take_fd(&fd);
        return c;
}

void client_free(struct client *c)
{
        if (!c)
                return;
        close(c->fd);
        buf_done(&c->in);
        free(c);
}

int client_fd(const struct client *c)
{
        return c->fd;
}

int client_peer_process(const struct client *c)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.pid <= 0)
                return -1;
        return (int)syscall(SYS_pidfd_open, peer.pid, 0); /* close-on-exec by itself */
}

int client_release(struct client *c, struct buf *ret_unread)
{
        int fd = c->fd;

        *ret_unread = c->in;
        free(c);
        return fd;
}

void client_end_sending(struct client *c)
{
        shutdown(c->fd, SHUT_WR);
}

int client_send(struct client *c, const char *method, struct json_object *parameters, unsigned flags, struct error *err)
{
        autobuf struct buf out = {0};

        varlink_write_call(&out, method, parameters, flags);
        if (buf_size(&out) > VARLINK_MESSAGE_MAX)
                return error_set(err, ERR_INVALID, "the arguments are too long: %s, and %s is the limit",
                                 format_size(buf_size(&out)), format_size(VARLINK_MESSAGE_MAX));
        while (buf_size(&out) > 0) {
                ssize_t n = send(c->fd, buf_head(&out), buf_size(&out), MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
                        return error_set(err, ERR_DISCONNECTED,
                                         "the daemon closed the connection; 'initvm daemon log' may say why");
                if (n < 0 && errno == EAGAIN)
                        return error_set(err, ERR_TIMEOUT, "the daemon took no call for %d s; see 'initvm daemon log'",
                                         SEND_DEADLINE_S);
                if (n < 0)
                        return error_errno(err, errno, "cannot write to the daemon");
                buf_consume(&out, (size_t)n);
        }
        return 0;
}

int client_fill(struct client *c, struct error *err)
{
        for (;;) {
                ssize_t n = read(c->fd, buf_reserve(&c->in, READ_SIZE), READ_SIZE);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == ECONNRESET)
                        return 0;
                if (n < 0)
                        return error_errno(err, errno, "cannot read from the daemon");
                buf_commit(&c->in, (size_t)n);
                return n > 0;
        }
}

int client_take(struct client *c, struct json_object **ret, struct error *err)
{
        return varlink_take(&c->in, ret, err);
}

int client_receive(struct client *c, unsigned deadline_ms, struct json_object **ret, struct error *err)
{
        uint64_t end = now_ms() + deadline_ms;
        int r;

        while ((r = client_take(c, ret, err)) == 0) {
                struct pollfd p = {.fd = c->fd, .events = POLLIN};
                uint64_t now = now_ms();

                if (now >= end)
                        return error_set(err, ERR_TIMEOUT, "the daemon did not answer within %u s; see 'initvm daemon log'",
                                         deadline_ms / 1000);
                r = poll(&p, 1, (int)MIN(end - now, (uint64_t)INT_MAX));
                if (r < 0 && errno != EINTR)
                        return error_errno(err, errno, "cannot wait for the daemon");
                if (r <= 0)
                        continue;
                r = client_fill(c, err);
                if (r < 0)
                        return -1;
                if (r == 0)
                        return error_set(err, ERR_DISCONNECTED,
                                         "the daemon closed the connection without an answer; 'initvm daemon log' may say why");
        }
        return r < 0 ? -1 : 0;
}

int client_call(struct client *c, const char *method, struct json_object *parameters, unsigned flags, unsigned deadline_ms,
                struct json_object **ret, struct error *err)
{
        autojson struct json_object *reply = NULL;
        struct json_object *result = NULL;
        bool continues = false;

        if (client_send(c, method, parameters, flags, err) < 0 || client_receive(c, deadline_ms, &reply, err) < 0 ||
            varlink_read_reply(reply, &result, &continues, err) < 0)
                return -1;
        if (continues)
                return error_set(err, ERR_PROTOCOL, "the daemon answered one '%s' with several replies", method);
        if (ret)
                *ret = result ? json_object_get(result) : json_new();
        return 0;
}
