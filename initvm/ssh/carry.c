/* SPDX-License-Identifier: MIT */
#include "ssh/carry.h"

#include "base/log.h"
#include "ssh/deadline.h"

#include <errno.h>
#include <libssh/server.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define BLOCK_SIZE     (64u * 1024)
#define BLOCKS_AT_ONCE 64 /* then the other direction gets its turn */
#define LINE_SIZE      512

/* What a program that has closed its output may take to end, so that its exit status is known. */
#define END_TIMEOUT_MS 1000

/* Keepalives within the time of silence that is suffered. ssh_send_keepalive() sends at every second call only, when the answer
 * to the one before has come. */
#define KEEPALIVES 6

struct carrying {
        struct connection *connection;
        ssh_channel channel;
        int fd;
        struct buf to_fd, to_peer;
        bool more;                         /* libssh may hold bytes that no poll tells of */
        char line[LINE_SIZE];              /* the last of what the program said on its standard error */
        struct ssh_counter_struct counter; /* what libssh took from the socket */
        uint64_t counted;
        uint64_t heard, probed;
};

static int peer_failed(struct carrying *c, struct error *err)
{
        return error_set(err, ERR_DISCONNECTED, "the SSH connection was lost: %s", ssh_get_error(c->connection->session));
}

static int peer_ended(struct carrying *c, struct error *err)
{
        int status;

        ssh_set_blocking(c->connection->session, 1);
        deadline_begin(c->connection->fd, END_TIMEOUT_MS);
        status = ssh_channel_get_exit_status(c->channel);
        deadline_end();
        if (status < 0)
                return error_set(err, ERR_DISCONNECTED, "the agent on the other side has ended%s%s", *c->line ? ": " : "",
                                 c->line);
        return error_set(err, ERR_DISCONNECTED, "the agent on the other side has ended with exit status %d%s%s", status,
                         *c->line ? ": " : "", c->line);
}

/* It is the agent's log. Unread, it would fill the window that it shares with the bytes to be carried. */
static void read_standard_error(struct carrying *c)
{
        char block[LINE_SIZE];
        int n;

        while ((n = ssh_channel_read_nonblocking(c->channel, block, sizeof(block) - 1, 1)) > 0) {
                autostrv char **lines = NULL;
                block[n] = '\0';
                lines = strv_split(block, "\r\n");
                for (char **line = lines; *line; line++) {
                        log_info("the agent says: %s", *line);
                        snprintf(c->line, sizeof(c->line), "%s", *line);
                }
        }
}

static int write_fd(struct carrying *c, struct error *err)
{
        while (buf_size(&c->to_fd) > 0) {
                ssize_t n = send(c->fd, buf_head(&c->to_fd), buf_size(&c->to_fd), MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EAGAIN)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return error_set(err, ERR_CANCELLED, "the daemon has closed its end");
                if (n > 0)
                        buf_consume(&c->to_fd, (size_t)n);
        }
        return 0;
}

/*
 * While libssh has bytes for us ssh_channel_poll() tells their number, and nothing of a connection that was lost after them: what
 * the daemon has not taken by then is given up with it.
 */
static int from_peer(struct carrying *c, struct error *err)
{
        ssh_session session = c->connection->session;

        c->more = true;
        for (int i = 0; i < BLOCKS_AT_ONCE; i++) {
                int n;
                if (write_fd(c, err) < 0)
                        return -1;
                if (buf_size(&c->to_fd) > 0) /* not taken: only the protocol goes on (windows, keys, keepalives) */
                        n = ssh_channel_poll(c->channel, 0) == SSH_ERROR || !ssh_is_connected(session) ? SSH_ERROR : SSH_AGAIN;
                else
                        n = ssh_channel_read_nonblocking(c->channel, buf_reserve(&c->to_fd, BLOCK_SIZE), BLOCK_SIZE, 0);
                if (n > 0) {
                        buf_commit(&c->to_fd, (size_t)n);
                        continue;
                }
                c->more = false;
                if (n == SSH_ERROR)
                        return peer_failed(c, err);
                break;
        }
        read_standard_error(c);
        if (!c->more && buf_size(&c->to_fd) == 0 && ssh_channel_is_eof(c->channel))
                return peer_ended(c, err);
        return 0;
}

static bool write_pending(const struct carrying *c)
{
        return ssh_get_poll_flags(c->connection->session) & SSH_WRITE_PENDING;
}

/* Into libssh goes only what the window allows, and only when it has written what it had. */
static int to_peer(struct carrying *c, struct error *err)
{
        while (!write_pending(c) && ssh_channel_window_size(c->channel) > 0) {
                int n;
                if (buf_size(&c->to_peer) == 0) {
                        ssize_t got = recv(c->fd, buf_reserve(&c->to_peer, BLOCK_SIZE), BLOCK_SIZE, MSG_DONTWAIT);
                        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                                return 0;
                        if (got <= 0)
                                return error_set(err, ERR_CANCELLED, "the daemon has closed its end");
                        buf_commit(&c->to_peer, (size_t)got);
                }
                n = ssh_channel_write(c->channel, buf_head(&c->to_peer), (uint32_t)buf_size(&c->to_peer));
                if (n == 0 || n == SSH_AGAIN)
                        return 0;
                if (n < 0)
                        return peer_failed(c, err);
                buf_consume(&c->to_peer, (size_t)n);
        }
        return 0;
}

static int check_silence(struct carrying *c, const struct request *r, struct error *err)
{
        uint64_t now = now_ms();

        if (c->counter.in_bytes != c->counted)
                c->heard = now;
        c->counted = c->counter.in_bytes;
        if (now - c->heard >= r->silence_ms)
                return error_set(err, ERR_TIMEOUT,
                                 "the SSH connection was given up: nothing came for %llu ms, not even answers to "
                                 "keepalives",
                                 (unsigned long long)r->silence_ms);
        if (now - MAX(c->heard, c->probed) >= r->silence_ms / KEEPALIVES) {
                c->probed = now;
                ssh_send_keepalive(c->connection->session);
        }
        return 0;
}

static int wait_for_events(struct carrying *c, const struct request *r, int control, struct error *err)
{
        bool room = buf_size(&c->to_peer) == 0 && ssh_channel_window_size(c->channel) > 0 && !write_pending(c);
        struct pollfd fds[] = {
                {.fd = c->connection->fd, .events = (short)(ssh_channel_is_eof(c->channel) ? 0 : POLLIN)},
                {.fd = c->fd, .events = (short)((room ? POLLIN : 0) | (buf_size(&c->to_fd) > 0 ? POLLOUT : 0))},
                {.fd = control, .events = POLLIN},
        };

        if (write_pending(c))
                fds[0].events |= POLLOUT;
        if (poll(fds, ARRAY_SIZE(fds), c->more ? 0 : (int)(r->silence_ms / KEEPALIVES)) < 0 && errno != EINTR)
                return error_errno(err, errno, "poll");
        if (fds[2].revents || fds[1].revents & (POLLHUP | POLLERR))
                return error_set(err, ERR_CANCELLED, "the daemon has closed its end");
        return check_silence(c, r, err);
}

int carry(struct connection *connection, const struct request *r, ssh_channel channel, int fd, int control, struct error *err)
{
        struct carrying c = {.connection = connection, .channel = channel, .fd = fd, .heard = now_ms()};

        ssh_set_blocking(connection->session, 0);
        ssh_set_counters(connection->session, &c.counter, NULL);
        while (from_peer(&c, err) == 0 && to_peer(&c, err) == 0 && wait_for_events(&c, r, control, err) == 0)
                ;
        ssh_set_counters(connection->session, NULL, NULL);
        buf_done(&c.to_fd);
        buf_done(&c.to_peer);
        return -1;
}
