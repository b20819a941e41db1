/* SPDX-License-Identifier: MIT */
#include "ssh/connection.h"

#include "base/file.h"
#include "io/socket.h"
#include "ssh/deadline.h"
#include "ssh/host_key.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE 4096

static int connect_to(const struct addrinfo *a, uint64_t timeout_ms, struct error *err)
{
        autoclose int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        int failure = 0;
        socklen_t size = sizeof(failure);
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

        if (fd < 0)
                return error_errno(err, errno, "socket");
        if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)
                return error_errno(err, errno, "connect");
        if (poll(&poll_fd, 1, (int)timeout_ms) == 0)
                return error_set(err, ERR_TIMEOUT, "connect: no answer within %llu ms", (unsigned long long)timeout_ms);
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) < 0 || failure)
                return error_set(err, ERR_DISCONNECTED, "connect: %s", strerror(failure ? failure : errno));
        socket_no_delay(fd);
        return take_fd(&fd);
}

/* By number or, as the name service allows, by name. */
static int connect_tcp(const struct request *r, struct error *err)
{
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
        struct addrinfo *list = NULL;
        char port[8];
        int fd = -1, result;

        snprintf(port, sizeof(port), "%u", (unsigned)r->port);
        result = getaddrinfo(r->host, port, &hints, &list);
        if (result != 0)
                return error_set(err, ERR_DISCONNECTED, "'%s': %s", r->host, gai_strerror(result));
        for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
                fd = connect_to(a, r->timeout_ms, err);
        freeaddrinfo(list);
        return fd < 0 ? error_prefix(err, "%s:%s", r->host, port) : fd;
}

bool connection_alive(const struct connection *c)
{
        return ssh_is_connected(c->session) != 0;
}

int connection_error(const struct connection *c, bool timed_out, struct error *err, const char *what)
{
        if (timed_out)
                return error_set(err, ERR_TIMEOUT, "%s: the other side did not answer in time", what);
        return error_set(err, connection_alive(c) ? ERR_FAILED : ERR_DISCONNECTED, "%s: %s", what, ssh_get_error(c->session));
}

/* No file of the user's or the system's has a say: what counts is in the call. */
static int set_options(struct connection *c, const struct request *r, struct error *err)
{
        const bool no = false;
        const long seconds = (long)(r->timeout_ms / 1000) + 1; /* our own deadline comes first */
        const struct {
                enum ssh_options_e option;
                const void *value;
        } options[] = {
                {SSH_OPTIONS_PROCESS_CONFIG, &no},
                {SSH_OPTIONS_HOST, r->host_key_alias}, /* only looked up in known_hosts: the socket is connected */
                {SSH_OPTIONS_FD, &c->fd},
                {SSH_OPTIONS_USER, r->user},
                {SSH_OPTIONS_KNOWNHOSTS, r->known_hosts},
                {SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null"},
                {SSH_OPTIONS_TIMEOUT, &seconds},
        };

        for (size_t i = 0; i < ARRAY_SIZE(options); i++)
                if (ssh_options_set(c->session, options[i].option, options[i].value) < 0)
                        return error_set(err, ERR_FAILED, "libssh: %s", ssh_get_error(c->session));
        return 0;
}

/* Until there is something to do for libssh, which is not blocking. False when the time is over. */
static bool wait_for_peer(struct connection *c, uint64_t end)
{
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        uint64_t now = now_ms();

        if (ssh_get_poll_flags(c->session) & SSH_WRITE_PENDING)
                p.events |= POLLOUT;
        return now < end && poll(&p, 1, (int)(end - now)) != 0;
}

/*
 * Both sides greet at once (RFC 4253, section 4.2).  What forwards a port to a guest that is still booting accepts, and is
 * silent: for the greeting our patience counts, from then on the time of a step.
 */
static int exchange_keys(struct connection *c, const struct request *r, uint64_t patience_ms, struct error *err)
{
        struct ssh_counter_struct counter = {0};
        uint64_t begun = now_ms();
        bool late = false;
        int result;

        ssh_set_counters(c->session, &counter, NULL);
        ssh_set_blocking(c->session, 0);
        while ((result = ssh_connect(c->session)) == SSH_AGAIN && !late)
                late = !wait_for_peer(c, begun + (counter.in_bytes > 0 ? r->timeout_ms : patience_ms));
        ssh_set_blocking(c->session, 1);
        ssh_set_counters(c->session, NULL, NULL);
        if (result == SSH_OK)
                return host_key_check(c->session, r, err);
        if (late && counter.in_bytes == 0)
                return error_set(err, ERR_TIMEOUT, "%s:%llu accepts connections, but no SSH server greeted in time (%llu ms)",
                                 r->host, (unsigned long long)r->port, (unsigned long long)patience_ms);
        connection_error(c, late, err, "the SSH handshake");
        if (err->code == ERR_FAILED)
                err->code = ERR_DISCONNECTED; /* a server that is only just starting may say anything */
        return error_prefix(err, "%s:%llu", r->host, (unsigned long long)r->port);
}

static int load_key(const struct request *r, ssh_key *ret, struct error *err)
{
        *ret = NULL;
        if (!r->identity_file && !getenv("SSH_AUTH_SOCK"))
                return error_set(err, ERR_INVALID, "there is neither a key file nor an ssh-agent (SSH_AUTH_SOCK) to log in with");
        if (!r->identity_file)
                return 0;
        if (access(r->identity_file, R_OK) < 0)
                return error_errno(err, errno, "the key file '%s'", r->identity_file);
        if (ssh_pki_import_privkey_file(r->identity_file, NULL, NULL, NULL, ret) != SSH_OK)
                return error_set(err, ERR_INVALID, "'%s' is no private key, or it has a passphrase: then add it to an ssh-agent",
                                 r->identity_file);
        return 0;
}

static int authenticate(struct connection *c, const struct request *r, struct error *err)
{
        ssh_key key;
        bool late;
        int result;

        if (load_key(r, &key, err) < 0)
                return -1;
        deadline_begin(c->fd, r->timeout_ms);
        result = key ? ssh_userauth_publickey(c->session, NULL, key) : ssh_userauth_agent(c->session, NULL);
        late = deadline_end();
        ssh_key_free(key);
        if (result == SSH_AUTH_SUCCESS && !late)
                return 0;
        if (!late && connection_alive(c) && (result == SSH_AUTH_DENIED || result == SSH_AUTH_PARTIAL))
                return error_set(err, ERR_DENIED, "%s:%llu does not let '%s' in with %s%s", r->host, (unsigned long long)r->port,
                                 r->user, r->identity_file ? "the key " : "a key of the ssh-agent",
                                 r->identity_file ? r->identity_file : "");
        return connection_error(c, late, err, "the SSH authentication");
}

struct connection *connection_new(const struct request *r, uint64_t patience_ms, struct error *err)
{
        autoclose int fd = connect_tcp(r, err);
        struct connection *c;

        if (fd < 0)
                return NULL;
        c = xcalloc(1, sizeof(*c));
        c->fd = fd;
        c->session = ssh_new();
        if (!c->session)
                abort(); /* out of memory */
        if (set_options(c, r, err) < 0) {
                ssh_free(c->session);
                free(c);
                return NULL;
        }
        take_fd(&fd); /* from here on connection_free() closes it */
        if (exchange_keys(c, r, patience_ms, err) < 0 || authenticate(c, r, err) < 0) {
                connection_free(c);
                return NULL;
        }
        return c;
}

void connection_free(struct connection *c)
{
        if (!c)
                return;
        ssh_set_blocking(c->session, 0); /* a peer that does not read is not waited for */
        ssh_disconnect(c->session);
        ssh_free(c->session);
        if (fcntl(c->fd, F_GETFD) >= 0) /* libssh closes it or not, by how far it got; nobody else opens anything meanwhile */
                close(c->fd);
        free(c);
}

ssh_channel connection_exec(struct connection *c, const char *command, struct error *err)
{
        ssh_channel channel = ssh_channel_new(c->session);

        if (channel && ssh_channel_open_session(channel) == SSH_OK && ssh_channel_request_exec(channel, command) == SSH_OK)
                return channel;
        connection_error(c, false, err, "starting a command on the other side");
        if (channel)
                ssh_channel_free(channel);
        return NULL;
}

static int read_all(ssh_channel channel, size_t max, struct buf *out)
{
        char block[READ_SIZE];
        int n;

        while ((n = ssh_channel_read(channel, block, sizeof(block), 0)) > 0)
                buf_append(out, block, MIN((size_t)n, max - MIN(max, buf_size(out))));
        return n == 0 || n == SSH_EOF ? 0 : -1;
}

int connection_run(struct connection *c, const struct request *r, const char *command, size_t max, char **ret_output,
                   int *ret_status, struct error *err)
{
        autobuf struct buf out = {0};
        ssh_channel channel;
        bool late;
        int result, status = -1;

        deadline_begin(c->fd, r->timeout_ms);
        channel = connection_exec(c, command, err);
        result = channel ? read_all(channel, max, &out) : -1;
        if (result == 0)
                status = ssh_channel_get_exit_status(channel);
        late = deadline_end();
        if (channel)
                ssh_channel_free(channel);
        if (late || result < 0)
                return channel || late ? connection_error(c, late, err, command) : -1;
        *ret_output = buf_take_string(&out);
        *ret_status = status;
        return 0;
}
