/* SPDX-License-Identifier: MIT */
/* Chroots as wholes: copied, renamed, removed, written as an archive and made from one. */
#include "archive/report.h"
#include "archive/rootfs.h"
#include "chroot/command_private.h"
#include "chroot/farm.h"
#include "chroot/native_cache.h"

#include <errno.h>
#include <unistd.h>

int chroot_clone(struct chroot_command *c, struct error *err)
{
        const char *name = c->operands[0], *as = c->operands[1];
        autofree char *root = xasprintf("%s/%s/root", c->store->chroots, name), *origin = xasprintf("clone of %s", name);
        autonew struct new_chroot n = NEW_CHROOT_INIT;
        autoclose int use = store_use_shared(c->store, name, err);
        struct json_object *record;

        if (use < 0 || chroot_check_new(c->store, as, err) < 0 || store_new(c->store, &n, err) < 0 ||
            farm_copy(root, NULL, n.root, err) < 0)
                return -1;
        record = store_record(c->store, name, err);
        if (!record)
                return -1;
        json_add_string(record, "origin", origin);
        return chroot_finish(c->store, &n, as, record, err);
}

int chroot_rename(struct chroot_command *c, struct error *err)
{
        const char *name = c->operands[0], *as = c->operands[1];
        autofree char *from = xasprintf("%s/%s", c->store->chroots, name), *to = xasprintf("%s/%s", c->store->chroots, as);
        autoclose int lock = -1, use = -1;

        if (chroot_name_check(name, err) < 0 || chroot_name_check(as, err) < 0)
                return -1;
        lock = store_lock(c->store, err);
        use = lock < 0 ? -1 : store_use(c->store, name, true, err);
        if (use < 0 || store_check_free(c->store, as, err) < 0)
                return -1;
        return rename(from, to) < 0 ? error_errno(err, errno, "cannot rename the chroot '%s'", name) : 0;
}

static int lock_alone(const struct store *s, const char *name, struct error *err)
{
        autoclose int lock = -1;

        if (chroot_name_check(name, err) < 0)
                return -1;
        lock = store_lock(s, err);
        return lock < 0 ? -1 : store_use(s, name, true, err);
}

int chroot_remove(struct chroot_command *c, struct error *err)
{
        for (char **name = c->operands; *name; name++) {
                autoclose int use = lock_alone(c->store, *name, err);

                if (use < 0 || store_remove(c->store, *name, err) < 0)
                        return -1;
                native_cache_sweep(c->store, *name, NULL);
        }
        return 0;
}

/* With a key: the chroot must still be the one that was made under it. */
static int check_key(const struct chroot_command *c, struct error *err)
{
        autojson struct json_object *record = c->key ? store_record(c->store, c->operands[0], err) : NULL;

        if (!c->key || streq(json_get_string(record, "key", NULL), c->key))
                return 0;
        return record ? error_set(err, ERR_STATE, "the chroot '%s' has been changed meanwhile", c->operands[0]) : -1;
}

int chroot_export(struct chroot_command *c, struct error *err)
{
        const char *name = c->operands[0];
        autofree char *root = xasprintf("%s/%s/root", c->store->chroots, name);
        autoclose int use = store_use_shared(c->store, name, err);

        if (use < 0 || check_key(c, err) < 0)
                return -1;
        report_progress(STDERR_FILENO, c->key ? "cache" : "export", c->key ? "keeping a copy on the host" : name);
        return rootfs_pack(root, STDOUT_FILENO, err);
}

int chroot_import(struct chroot_command *c, struct error *err)
{
        const char *name = c->operands[0];
        autonew struct new_chroot n = NEW_CHROOT_INIT;
        struct json_object *record;

        if (chroot_check_new(c->store, name, err) < 0 || store_new(c->store, &n, err) < 0)
                return -1;
        report_progress(STDERR_FILENO, "import", name);
        if (rootfs_unpack(STDIN_FILENO, n.root, err) < 0) {
                if (err->code == ERR_DISCONNECTED)
                        error_set(err, ERR_PROTOCOL, "the archive is incomplete: it has no end; nothing was imported");
                return -1;
        }
        record = chroot_look_at(n.root);
        if (c->architecture)
                json_add_string(record, "architecture", c->architecture);
        if (c->suite)
                json_add_string(record, "suite", c->suite);
        json_add_string(record, "origin", "import");
        return chroot_finish(c->store, &n, name, record, err);
}
