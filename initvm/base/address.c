/* SPDX-License-Identifier: MIT */
#include "base/address.h"

#include "base/util.h"

#include <string.h>

#define LOCALHOST "localhost"

static int parse_path(const char *text, struct address *ret, struct error *err)
{
        if (strlen(text) >= sizeof(ret->path))
                return error_set(err, ERR_INVALID, "the path '%s' is too long for a socket: %zu bytes are possible", text,
                                 sizeof(ret->path) - 1);
        *ret = (struct address){0};
        memcpy(ret->path, text, strlen(text) + 1);
        return 0;
}

static bool is_number(int family, const char *host)
{
        uint8_t bytes[sizeof(struct in6_addr)];

        return inet_pton(family, host, bytes) == 1;
}

int address_parse(const char *text, struct address *ret, struct error *err)
{
        const char *colon = strrchr(text, ':');
        bool brackets = text[0] == '[' && colon && colon > text + 1 && colon[-1] == ']';
        autofree char *host = NULL;
        uint64_t port;

        if (text[0] == '/')
                return parse_path(text, ret, err);
        if (!colon)
                return error_set(err, ERR_INVALID, "'%s' is neither HOST:PORT nor the absolute path of a socket", text);
        if (parse_u64(colon + 1, 0, UINT16_MAX, &port) < 0)
                return error_set(err, ERR_INVALID, "'%s' is not a port: 0 to %d", colon + 1, UINT16_MAX);
        host = brackets ? xstrndup(text + 1, (size_t)(colon - text) - 2) : xstrndup(text, (size_t)(colon - text));
        if (brackets ? !is_number(AF_INET6, host) : !is_number(AF_INET, host) && !streq(host, LOCALHOST))
                return error_set(err, ERR_INVALID,
                                 "'%s' is not an address: write numbers, as in 127.0.0.1 or [::1], or 'localhost'; names are not "
                                 "looked up",
                                 host);
        *ret = (struct address){.port = (uint16_t)port};
        memcpy(ret->host, host, strlen(host) + 1);
        return 0;
}

char *address_text(const struct address *a)
{
        if (address_is_unix(a))
                return xstrdup(a->path);
        return xasprintf(strchr(a->host, ':') ? "[%s]:%u" : "%s:%u", a->host, a->port);
}

bool address_is_unix(const struct address *a)
{
        return a->path[0];
}

bool address_is_loopback(const struct address *a)
{
        struct in6_addr v6;

        if (address_is_unix(a) || streq(a->host, LOCALHOST))
                return true;
        if (inet_pton(AF_INET6, a->host, &v6) == 1)
                return IN6_IS_ADDR_LOOPBACK(&v6);
        return str_has_prefix(a->host, "127.");
}

static void add_socket(struct address_socket *s, int family, const char *host, uint16_t port)
{
        struct sockaddr_in *v4 = (struct sockaddr_in *)&s->storage;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&s->storage;

        *s = (struct address_socket){.storage.ss_family = (sa_family_t)family};
        if (family == AF_INET) {
                s->size = sizeof(*v4);
                v4->sin_port = htons(port);
                inet_pton(AF_INET, host, &v4->sin_addr);
        } else {
                s->size = sizeof(*v6);
                v6->sin6_port = htons(port);
                inet_pton(AF_INET6, host, &v6->sin6_addr);
        }
}

size_t address_sockets(const struct address *a, struct address_socket ret[ADDRESS_SOCKADDRS_MAX])
{
        struct sockaddr_un *un = (struct sockaddr_un *)&ret[0].storage;

        if (address_is_unix(a)) {
                ret[0] = (struct address_socket){.storage.ss_family = AF_UNIX, .size = sizeof(*un)};
                memcpy(un->sun_path, a->path, sizeof(a->path));
                return 1;
        }
        if (streq(a->host, LOCALHOST)) {
                add_socket(&ret[0], AF_INET, "127.0.0.1", a->port);
                add_socket(&ret[1], AF_INET6, "::1", a->port);
                return 2;
        }
        add_socket(&ret[0], strchr(a->host, ':') ? AF_INET6 : AF_INET, a->host, a->port);
        return 1;
}

void address_from_socket(struct address *ret, const struct sockaddr_storage *storage)
{
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)storage;
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)storage;

        *ret = (struct address){0};
        if (storage->ss_family == AF_INET) {
                inet_ntop(AF_INET, &v4->sin_addr, ret->host, sizeof(ret->host));
                ret->port = ntohs(v4->sin_port);
        } else if (storage->ss_family == AF_INET6) {
                inet_ntop(AF_INET6, &v6->sin6_addr, ret->host, sizeof(ret->host));
                ret->port = ntohs(v6->sin6_port);
        }
}
