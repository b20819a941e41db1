/* SPDX-License-Identifier: MIT */
#include "cli/forward_spec.h"

#include "base/util.h"

#include <string.h>

/* Cuts the next word off, up to the colon that ends it (which goes, too) or to the end; owned. */
static char *next_word(const char **at, size_t n)
{
        char *word = xstrndup(*at, n);

        *at += n + ((*at)[n] == ':');
        return word;
}

static bool is_port(const char *word)
{
        return *word && word[strspn(word, "0123456789")] == '\0';
}

/* Reads one end. A path that comes last is everything that is left, colons as well. */
static int read_end(const char **at, bool last, const char *this_machine, struct address *ret, struct error *err)
{
        const char *text = *at, *bracket = text[0] == '[' ? strchr(text, ']') : NULL;
        autofree char *first =
                next_word(at, bracket ? (size_t)(bracket + 1 - text) : strcspn(text, text[0] == '/' && last ? "" : ":"));
        autofree char *port = NULL, *whole = NULL;

        if (first[0] == '/')
                return address_parse(first, ret, err);
        if (is_port(first)) {
                whole = xasprintf("%s:%s", this_machine, first);
                return address_parse(whole, ret, err);
        }
        port = next_word(at, strcspn(*at, ":"));
        if (!*port)
                return error_set(err, ERR_INVALID, "'%s' has no port: write PORT, HOST:PORT or the absolute path of a socket",
                                 first);
        whole = xasprintf("%s:%s", first, port);
        return address_parse(whole, ret, err);
}

static bool any_port(const struct address *a)
{
        return !address_is_unix(a) && a->port == 0;
}

static int check(const struct forward_spec *s, bool reverse, bool any_address, struct error *err)
{
        autofree char *local = address_text(&s->local);

        if (any_port(reverse ? &s->local : &s->remote))
                return error_set(err, ERR_INVALID, "port 0, any free one, is possible only where it is listened on: %s",
                                 reverse ? "in the VM" : "on the host");
        if (!reverse && !any_address && !address_is_loopback(&s->local))
                return error_set(err, ERR_INVALID,
                                 "'%s' would open the VM to the network: use a loopback address, or add --any-address", local);
        return 0;
}

static int parse(const char *text, bool reverse, struct forward_spec *ret, struct error *err)
{
        const char *at = text, *here = reverse ? "localhost" : "127.0.0.1", *there = reverse ? "127.0.0.1" : "localhost";

        if (read_end(&at, false, here, &ret->local, err) < 0)
                return -1;
        if (*at)
                return read_end(&at, true, there, &ret->remote, err) < 0 ? -1
                       : *at                                             ? error_set(err, ERR_INVALID, "'%s' is one too many", at)
                                                                         : 0;
        /* It was the only one: the remote end. */
        at = text;
        if (read_end(&at, true, there, &ret->remote, err) < 0)
                return -1;
        if (address_is_unix(&ret->remote))
                return error_set(err, ERR_INVALID, "say where it is on the host, too: PORT:%s or PATH:%s", text, text);
        autofree char *local = xasprintf("%s:%u", here, ret->remote.port);
        return address_parse(local, &ret->local, err);
}

int forward_spec_parse(const char *text, bool reverse, bool any_address, struct forward_spec *ret, struct error *err)
{
        if (parse(text, reverse, ret, err) < 0 || check(ret, reverse, any_address, err) < 0)
                return error_prefix(err, "'%s'", text);
        return 0;
}
