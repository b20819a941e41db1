/* SPDX-License-Identifier: MIT */
/* Package sources and settings of apt, as apt-setup and base-installer leave them, in today's format. */
#include "provision/guest.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_BEGIN "-----BEGIN PGP"

/* Puts a source's own key in place; the name of its file is what apt tells the two formats by. */
static char *put_key(const char *name, struct buf *key, struct error *err)
{
        bool ascii = buf_size(key) > strlen(KEY_BEGIN) && memcmp(buf_head(key), KEY_BEGIN, strlen(KEY_BEGIN)) == 0;
        autofree char *path = xasprintf("/etc/apt/keyrings/%s.%s", name, ascii ? "asc" : "gpg");

        if (dir_make("/etc/apt/keyrings", 0755, err) < 0 || file_write_atomic(path, 0644, buf_head(key), buf_size(key), err) < 0)
                return NULL;
        return take_ptr(path);
}

static int apply_sources(const struct guest *guest, struct error *err)
{
        const struct plan *plan = guest->plan;
        autofree char *archive = xstrdup(plan->image->keyring), *own = NULL, *local = NULL;
        autostrv char **signed_by = NULL;

        /* The archive's keyring is where its package puts it, also in the machine; if that package is another there, ours is. */
        if (access(archive, R_OK) < 0) {
                free(archive);
                archive = put_key("archive", &guest->keys[plan->n_sources], err);
                if (!archive)
                        return -1;
        }
        for (size_t i = 0; i < plan->n_sources; i++) {
                bool has_key = buf_size(&guest->keys[i]) > 0;
                char *path = has_key ? put_key(plan->sources[i].name, &guest->keys[i], err) : xstrdup(archive);

                if (!path)
                        return -1;
                strv_push(&signed_by, path);
        }
        own = plan_sources_text(plan, false, signed_by);
        local = plan_sources_text(plan, true, signed_by);
        if (tree_remove("/etc/apt/sources.list", err) < 0 || tree_remove("/etc/apt/sources.list.d", err) < 0 ||
            guest_write("/etc/apt/sources.list.d/debian.sources", 0644, own, err) < 0)
                return -1;
        return *local ? guest_write("/etc/apt/sources.list.d/local.sources", 0644, local, err) : 0;
}

int guest_apply_apt(const struct guest *guest, struct error *err)
{
        const struct plan *plan = guest->plan;

        if (apply_sources(guest, err) < 0)
                return -1;
        if (plan->proxy &&
            guest_writef("/etc/apt/apt.conf.d/90proxy", 0644, err, "Acquire::http::Proxy \"%s\";\n", plan->proxy) < 0)
                return -1;
        /* Where base-installer writes it. */
        if (!plan->recommends &&
            guest_write("/etc/apt/apt.conf.d/00InstallRecommends", 0644, "APT::Install-Recommends \"false\";\n", err) < 0)
                return -1;
        if (plan->allow_unsigned)
                return guest_write("/etc/apt/apt.conf.d/00AllowUnauthenticated", 0644,
                                   "APT::Get::AllowUnauthenticated \"true\";\n", err);
        return 0;
}
