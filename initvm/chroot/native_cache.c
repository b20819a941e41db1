/* SPDX-License-Identifier: MIT */
#include "chroot/native_cache.h"

#include "base/boot_id.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/util.h"
#include "chroot/native.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_PREFIX ".new-"
#define KEY_DIGITS 16

/* Somebody else may remove what was found, or lay out the same at the same time: then it is looked for again. */
#define TRIES 3

void native_cache_done(struct native_cache *n)
{
        cleanup_close(&n->lock);
        free(n->folder);
        *n = (struct native_cache)NATIVE_CACHE_INIT;
}

/* ---- names */

static void add_stat(struct buf *b, const char *path)
{
        struct stat st = {0};

        if (stat(path, &st) < 0) /* its absence counts as well */
                st = (struct stat){0};
        buf_printf(b, "%s %llu %llu %lld %lld.%09ld\n", path, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
                   (long long)st.st_size, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

/* The chroot is its folder: one that is replaced or saved over has another. What the VM has follows from its dpkg database and
 * the agent's own program; within a boot nothing else changes it. */
static char *path_of(const struct store *s, const char *name)
{
        autofree char *chroot = xasprintf("%s/%s/root", s->chroots, name), *boot = boot_id(), *digest = NULL;
        autobuf struct buf made_of = {0};

        buf_printf(&made_of, "%s\n", boot);
        add_stat(&made_of, chroot);
        add_stat(&made_of, "/var/lib/dpkg/status");
        add_stat(&made_of, "/proc/self/exe");
        digest = digest_bytes(buf_head(&made_of), buf_size(&made_of));
        return xasprintf("%s/%s.%.*s", s->native, name, KEY_DIGITS, digest);
}

static bool is_of(const char *entry, const char *name)
{
        size_t n = strlen(name);

        return strncmp(entry, name, n) == 0 && entry[n] == '.' && strlen(entry + n + 1) == KEY_DIGITS &&
               strspn(entry + n + 1, "0123456789abcdef") == KEY_DIGITS;
}

void native_cache_sweep(const struct store *s, const char *name, const char *keep)
{
        DIR *dir = opendir(s->native);

        for (struct dirent *e; dir && (e = readdir(dir));) {
                autofree char *path = xasprintf("%s/%s", s->native, e->d_name);
                autoclose int fd = -1;

                if ((!is_of(e->d_name, name) && !str_has_prefix(e->d_name, NEW_PREFIX)) || (keep && streq(path, keep)))
                        continue;
                fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
                        tree_remove(path, NULL);
        }
        if (dir)
                closedir(dir);
}

/* ---- one */

/* -1: it is not there, or was just taken away. */
static int lock_there(const char *path)
{
        autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct stat opened, there;

        if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0 || fstat(fd, &opened) < 0 || lstat(path, &there) < 0 ||
            opened.st_ino != there.st_ino)
                return -1;
        return take_fd(&fd);
}

/* Returns how many there are. It is shared from its making on: nobody takes what is locked for left over. */
static int lay_out(const struct store *s, const char *root, const char *path, int *ret_lock, struct error *err)
{
        autofree char *folder = xasprintf("%s/" NEW_PREFIX "XXXXXX", s->native), *helpers = NULL, *none = NULL;
        autoclose int fd = -1;
        int count = -1;

        if (!mkdtemp(folder))
                return error_errno(err, errno, "cannot make a folder in '%s'", s->native);
        helpers = xasprintf("%s/helpers", folder);
        none = xasprintf("%s/none", folder);
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0 || fchmod(fd, 0755) < 0 || mkdir(none, 0755) < 0)
                error_errno(err, errno, "cannot make the folder '%s'", folder);
        else
                count = native_lay_out(helpers, root, err);
        if (count > 0 && renameat2(AT_FDCWD, folder, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
                *ret_lock = take_fd(&fd);
        else
                tree_remove(folder, NULL);
        return count;
}

int native_cache_open(const struct store *s, const char *name, const char *root, struct native_cache *ret, struct error *err)
{
        autonativecache struct native_cache n = NATIVE_CACHE_INIT;

        n.folder = path_of(s, name);
        for (int i = 0; i < TRIES; i++) {
                int count;

                n.lock = lock_there(n.folder);
                if (n.lock >= 0)
                        break;
                native_cache_sweep(s, name, n.folder);
                count = lay_out(s, root, n.folder, &n.lock, err);
                if (count <= 0)
                        return count;
                if (n.lock >= 0)
                        break;
        }
        if (n.lock < 0)
                return error_set(err, ERR_FAILED, "the helpers in '%s' are taken away each time", n.folder);
        ret->folder = take_ptr(n.folder);
        ret->lock = take_fd(&n.lock);
        return 0;
}
