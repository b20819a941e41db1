/* SPDX-License-Identifier: MIT */
#include "io/server.h"

#include "base/embed.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client that sends requests but does not read the answers is closed at this much queued output. */
#define CLIENT_OUTPUT_MAX (4u << 20)

struct client {
        struct server *server;
        struct conn *conn;
        struct call *call; /* the one being worked on */
        bool *gone;        /* set when it is freed while serve() runs; NULL when that does not */
        struct client *prev, *next;
};

struct call {
        struct client *client; /* NULL when it went away for good */
        bool more, oneway;
        bool cancelled;
        void (*cancel_fn)(void *userdata);
        void *cancel_userdata;
};

struct server {
        struct loop *loop;
        int listen_fd;
        struct loop_source *listen_source;
        int spare_fd; /* given up to take a client off the queue when no other is left */
        const struct server_interface *interface;
        char *version;
        void *userdata;
        struct client *clients;
        size_t n_clients;
};

static void serve(struct client *c);

static void client_unlink(struct client *c)
{
        if (c->gone)
                *c->gone = true;
        if (c->prev)
                c->prev->next = c->next;
        else
                c->server->clients = c->next;
        if (c->next)
                c->next->prev = c->prev;
        c->server->n_clients--;
        free(c);
}

static void cancel_call(struct call *call)
{
        void (*fn)(void *) = call->cancel_fn;

        call->cancel_fn = NULL;
        call->cancelled = true;
        if (fn)
                fn(call->cancel_userdata);
}

/* Ends the client: with its queued output sent when `flush`. A running call lives on without a client until it is answered. */
static void client_close(struct client *c, bool flush)
{
        struct call *call = c->call;

        if (call)
                call->client = NULL;
        if (flush)
                conn_finish(c->conn);
        else
                conn_free(c->conn);
        client_unlink(c);
        if (call)
                cancel_call(call);
}

static void refuse(struct client *c, const struct error *err)
{
        varlink_write_error(conn_output(c->conn), err);
        client_close(c, true);
}

static void reply_service_error(struct client *c, const char *name, const char *key, const char *value)
{
        struct json_object *message = json_new(), *parameters = json_new();
        const char *line;

        json_add_string(parameters, key, value);
        json_add_string(message, "error", name);
        json_add(message, "parameters", parameters);
        line = json_line(message);
        buf_append(conn_output(c->conn), line, strlen(line) + 1);
        json_object_put(message);
        conn_flush(c->conn);
}

EMBED(server_service_text, "wire/org.varlink.service.varlink");
extern const char server_service_text[];

/* The text of an interface that is served here; NULL when there is none of that name. */
static const char *interface_text(const struct server *s, const char *name)
{
        if (streq(name, "org.varlink.service"))
                return server_service_text;
        return streq(name, s->interface->name) ? s->interface->description : NULL;
}

/* org.varlink.service, as varlink.org/Service describes it. True when the method is one of it. */
static bool serve_introspection(struct client *c, const struct varlink_call *request)
{
        const struct server *s = c->server;
        struct json_object *parameters = json_new();

        if (streq(request->method, "org.varlink.service.GetInfo")) {
                char *interfaces[] = {(char *)"org.varlink.service", (char *)s->interface->name, NULL};
                json_add_string(parameters, "vendor", "initvm");
                json_add_string(parameters, "product", "initvmd");
                json_add_string(parameters, "version", s->version);
                json_add_string(parameters, "url", "");
                json_add(parameters, "interfaces", json_from_strv(interfaces));
        } else if (streq(request->method, "org.varlink.service.GetInterfaceDescription")) {
                const char *name = json_get_string(request->parameters, "interface", "");
                const char *text = interface_text(s, name);

                if (!text) {
                        json_object_put(parameters);
                        reply_service_error(c, "org.varlink.service.InterfaceNotFound", "interface", name);
                        return true;
                }
                json_add_string(parameters, "description", text);
        } else {
                json_object_put(parameters);
                return false;
        }
        varlink_write_reply(conn_output(c->conn), parameters, false);
        conn_flush(c->conn);
        return true;
}

static const struct server_method *find_method(const struct server_interface *interface, const char *name)
{
        for (size_t i = 0; i < interface->n_methods; i++)
                if (streq(interface->methods[i].name, name))
                        return &interface->methods[i];
        return NULL;
}

/* Serves one message; the client may be gone or busy afterwards. */
static void serve_message(struct client *c, struct json_object *message)
{
        struct server *s = c->server;
        const struct server_method *method;
        struct varlink_call request;
        struct error err = ERROR_INIT;
        struct call *call;

        if (varlink_read_call(message, &request, &err) < 0) {
                refuse(c, &err);
                return;
        }
        method = find_method(s->interface, request.method);
        if (!method && request.oneway)
                return; /* a oneway call is never answered */
        if (!method && serve_introspection(c, &request))
                return;
        if (!method) {
                reply_service_error(c, "org.varlink.service.MethodNotFound", "method", request.method);
                return;
        }
        if ((method->more && !request.more) || (method->upgrade && !request.upgrade)) {
                if (request.oneway)
                        return;
                error_set(&err, ERR_INVALID, "'%s' must be called with \"%s\"", request.method,
                          method->more ? "more" : "upgrade");
                varlink_write_error(conn_output(c->conn), &err);
                conn_flush(c->conn);
                return;
        }
        call = xcalloc(1, sizeof(*call));
        call->client = c;
        call->more = request.more;
        call->oneway = request.oneway;
        c->call = call;
        if (method->handle(call, request.parameters, s->userdata, &err) < 0)
                call_fail(call, &err);
}

/* Serves what is buffered until a call is being worked on. A handler that answers at once comes back here from within: then the
 * outer one goes on, so that any number of calls in a row needs no more stack than one. */
static void serve(struct client *c)
{
        bool gone = false;

        if (c->gone)
                return;
        c->gone = &gone;
        while (!gone && !c->call) {
                struct error err = ERROR_INIT;
                autojson struct json_object *message = NULL;
                int r = varlink_take(conn_input(c->conn), &message, &err);

                if (r < 0)
                        refuse(c, &err);
                else if (conn_queued(c->conn) > CLIENT_OUTPUT_MAX)
                        client_close(c, false);
                else if (r == 0)
                        break;
                else
                        serve_message(c, message);
        }
        if (gone)
                return;
        c->gone = NULL;
        /* While a call runs, a client may send a bounded amount ahead. */
        conn_pause_input(c->conn, c->call && buf_size(conn_input(c->conn)) > VARLINK_MESSAGE_MAX);
}

static void on_input(void *userdata)
{
        struct client *c = userdata;

        serve(c);
}

static void on_ended(void *userdata)
{
        struct client *c = userdata;

        if (!c->call || conn_broken(c->conn))
                client_close(c, true);
        else
                cancel_call(c->call); /* it may still listen for the answer */
}

static const struct conn_events client_events = {.input = on_input, .ended = on_ended};

static int open_spare(void)
{
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptor is left.  A client that stayed in the queue would wake us again and again; so it is hung up on. */
static void drop_waiting(struct server *s)
{
        int fd;

        cleanup_close(&s->spare_fd);
        fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        cleanup_close(&fd);
        s->spare_fd = open_spare();
}

static void on_accept(void *userdata, uint32_t events)
{
        struct server *s = userdata;
        struct client *c;
        struct ucred peer;
        socklen_t n = sizeof(peer);
        autoclose int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        (void)events;
        if (fd < 0) {
                int errnum = errno;

                if (errnum != EAGAIN && errnum != ECONNABORTED && errnum != EINTR)
                        log_warning("cannot accept a client: %s", strerror(errnum));
                if (errnum == EMFILE || errnum == ENFILE)
                        drop_waiting(s);
                return;
        }
        /* The folder is private already; this holds also where somebody opened it up. Root may act for anybody. */
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0 || (peer.uid != geteuid() && peer.uid != 0)) {
                log_warning("refused a client of uid %u", peer.uid);
                return;
        }
        c = xcalloc(1, sizeof(*c));
        c->server = s;
        c->next = s->clients;
        if (c->next)
                c->next->prev = c;
        s->clients = c;
        s->n_clients++;
        c->conn = conn_new(s->loop, take_fd(&fd), &client_events, c);
        if (s->n_clients > SERVER_CLIENTS_MAX) {
                struct error err = ERROR_INIT;
                error_set(&err, ERR_STATE, "more than %d clients at once; try again when one has ended", SERVER_CLIENTS_MAX);
                refuse(c, &err);
        }
}

struct server *server_new(struct loop *loop, int listen_fd, const struct server_interface *interface, const char *version,
                          void *userdata)
{
        struct server *s = xcalloc(1, sizeof(*s));

        s->loop = loop;
        s->listen_fd = listen_fd;
        s->interface = interface;
        s->version = xstrdup(version);
        s->userdata = userdata;
        s->spare_fd = open_spare();
        s->listen_source = loop_add_fd(loop, listen_fd, EPOLLIN, on_accept, s);
        return s;
}

void server_free(struct server *s)
{
        if (!s)
                return;
        while (s->clients)
                client_close(s->clients, true);
        loop_source_free(s->listen_source);
        close(s->listen_fd);
        cleanup_close(&s->spare_fd);
        free(s->version);
        free(s);
}

size_t server_clients(const struct server *s)
{
        return s->n_clients;
}

void call_progress(struct call *call, struct json_object *owned_parameters)
{
        if (!call->client || !call->more || conn_queued(call->client->conn) > CLIENT_OUTPUT_MAX) {
                json_object_put(owned_parameters);
                return;
        }
        varlink_write_reply(conn_output(call->client->conn), owned_parameters, true);
        conn_flush(call->client->conn);
}

/* The call is over: the client goes on with its next message, or leaves when it had said goodbye in the meantime. */
static void finish_call(struct call *call)
{
        struct client *c = call->client;
        bool leave = call->cancelled;

        free(call);
        if (!c)
                return;
        c->call = NULL;
        conn_flush(c->conn);
        if (leave) {
                client_close(c, true);
                return;
        }
        conn_pause_input(c->conn, false);
        serve(c);
}

void call_reply(struct call *call, struct json_object *owned_parameters)
{
        if (call->client && !call->oneway)
                varlink_write_reply(conn_output(call->client->conn), owned_parameters, false);
        else
                json_object_put(owned_parameters);
        finish_call(call);
}

void call_fail(struct call *call, const struct error *error)
{
        if (call->client && !call->oneway)
                varlink_write_error(conn_output(call->client->conn), error);
        finish_call(call);
}

struct conn *call_upgrade(struct call *call, struct json_object *owned_parameters)
{
        struct client *c = call->client;
        struct conn *conn = NULL;

        if (c) {
                conn = c->conn;
                varlink_write_reply(conn_output(conn), owned_parameters, false);
                conn_flush(conn);
                conn_pause_input(conn, false);
                client_unlink(c);
        } else {
                json_object_put(owned_parameters);
        }
        free(call);
        return conn;
}

void call_on_cancel(struct call *call, void (*fn)(void *userdata), void *userdata)
{
        call->cancel_fn = fn;
        call->cancel_userdata = userdata;
        if (call->cancelled && fn)
                cancel_call(call);
}
