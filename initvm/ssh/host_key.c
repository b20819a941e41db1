/* SPDX-License-Identifier: MIT */
#include "ssh/host_key.h"

#include "base/file.h"
#include "base/util.h"

#include <stdlib.h>

#define KNOWN_HOSTS_MAX (1u << 20)

/* "ssh-ed25519 SHA256:…", as ssh-keygen(1) -l prints fingerprints. Owned. */
static char *fingerprint(ssh_key key)
{
        unsigned char *hash = NULL;
        char *hex, *text;
        size_t n;

        if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &n) < 0)
                return xstrdup("a key without fingerprint");
        hex = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, n);
        text = xasprintf("%s %s", ssh_key_type_to_char(ssh_key_type(key)), hex ? hex : "?");
        ssh_string_free_char(hex);
        ssh_clean_pubkey_hash(&hash);
        return text;
}

/* Whether one of the pinned keys is the server's; the fingerprints of those that are not go to *ret_pinned. */
static bool is_pinned(ssh_key key, char *const *lines, const char *alias, char ***ret_pinned)
{
        bool found = false;

        for (; *lines && !found; lines++) {
                struct ssh_knownhosts_entry *entry = NULL;
                if (ssh_known_hosts_parse_line(alias, *lines, &entry) != SSH_OK)
                        continue;
                found = ssh_key_cmp(key, entry->publickey, SSH_KEY_CMP_PUBLIC) == 0;
                strv_push(ret_pinned, fingerprint(entry->publickey));
                ssh_knownhosts_entry_free(entry);
        }
        return found;
}

int host_key_check(ssh_session session, const struct request *r, struct error *err)
{
        autofree char *text = file_read(r->known_hosts, KNOWN_HOSTS_MAX, NULL, err), *theirs = NULL, *ours = NULL;
        autostrv char **lines = NULL, **pinned = NULL;
        ssh_key key = NULL;
        bool found;

        if (!text)
                return error_prefix(err, "the pinned host key");
        lines = strv_split(text, "\n");
        if (ssh_get_server_publickey(session, &key) != SSH_OK)
                return error_set(err, ERR_DENIED, "%s:%llu has no host key", r->host, (unsigned long long)r->port);
        theirs = fingerprint(key);
        found = is_pinned(key, lines, r->host_key_alias, &pinned);
        ssh_key_free(key);
        if (found)
                return 0;
        if (!pinned)
                return error_set(
                        err, ERR_DENIED,
                        "the host key of %s:%llu is not known: it is %s, and '%s' has no key for '%s'; nothing was sent there",
                        r->host, (unsigned long long)r->port, theirs, r->known_hosts, r->host_key_alias);
        ours = strv_join(pinned, " or ");
        return error_set(
                err, ERR_DENIED,
                "THE HOST KEY IS ANOTHER ONE: %s:%llu has %s, but '%s' has %s for '%s'; another machine answers there, or its "
                "keys were made anew; nothing was sent there",
                r->host, (unsigned long long)r->port, theirs, r->known_hosts, ours, r->host_key_alias);
}
