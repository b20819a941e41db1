/* SPDX-License-Identifier: MIT */
#include "cli/chroot_cache.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/paths.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NEW_PREFIX   ".new-"
#define LOCK_NAME    ".lock"
#define ENTRY_NAME   "entry.json"
#define ARCHIVE_NAME "root.tar.zst"

/* ---- opening */

static int is_hidden(const struct dirent *d)
{
        return str_has_prefix(d->d_name, NEW_PREFIX);
}

static int is_entry(const struct dirent *d)
{
        return digest_valid(d->d_name);
}

/* The lock over all names: held for looking, renaming and removing only. */
static int lock_names(const struct chroot_cache *c, struct error *err)
{
        autofree char *path = xasprintf("%s/" LOCK_NAME, c->folder);

        return file_lock(path, true, err);
}

/* Removes what nobody works on any more. */
static int remove_left(const struct chroot_cache *c, struct error *err)
{
        autoclose int lock = lock_names(c, err);
        struct dirent **found = NULL;
        int n = lock < 0 ? 0 : scandir(c->folder, &found, is_hidden, alphasort);

        for (int i = 0; i < n; i++) {
                autofree char *path = xasprintf("%s/%s", c->folder, found[i]->d_name);
                autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
                        tree_remove(path, NULL);
                free(found[i]);
        }
        free(found);
        return lock < 0 ? -1 : 0;
}

int chroot_cache_open(struct chroot_cache *c, const char *folder, struct error *err)
{
        struct paths paths;

        *c = (struct chroot_cache){0};
        if (folder) {
                c->folder = xstrdup(folder);
        } else {
                if (paths_init(&paths, err) < 0)
                        return -1;
                c->folder = xasprintf("%s/chroots", paths.cache);
                paths_done(&paths);
        }
        return dir_make(c->folder, 0700, err) < 0 ? -1 : remove_left(c, err);
}

void chroot_cache_done(struct chroot_cache *c)
{
        free(c->folder);
        *c = (struct chroot_cache){0};
}

/* ---- taking away */

/* Under the lock of all names: it has gone with the rename. */
static int hide(const struct chroot_cache *c, const char *key, char **ret, struct error *err)
{
        autofree char *path = xasprintf("%s/%s", c->folder, key), *hidden = xasprintf("%s/" NEW_PREFIX "XXXXXX", c->folder);

        if (!mkdtemp(hidden))
                return error_errno(err, errno, "cannot remove '%s'", path);
        if (rename(path, hidden) < 0) {
                int errnum = errno;

                rmdir(hidden);
                return errnum == ENOENT ? 0 : error_errno(err, errnum, "cannot remove '%s'", path);
        }
        *ret = take_ptr(hidden);
        return 0;
}

/* The lock is held until the files have gone as well, so that nobody takes them for left over. */
static int remove_locked(const struct chroot_cache *c, const char *key, struct error *err)
{
        autofree char *hidden = NULL;

        if (hide(c, key, &hidden, err) < 0)
                return -1;
        return hidden ? tree_remove(hidden, err) : 0;
}

int chroot_cache_remove(const struct chroot_cache *c, const char *key, struct error *err)
{
        autoclose int lock = lock_names(c, err);

        return lock < 0 ? -1 : remove_locked(c, key, err);
}

/* ---- reading */

static struct json_object *read_entry(const struct chroot_cache *c, const char *key, struct error *err)
{
        autofree char *path = xasprintf("%s/%s/" ENTRY_NAME, c->folder, key);

        return json_parse_file(path, err);
}

/* 0 when the archive is what the entry says, or -1 with why not. */
static int verify(const struct chroot_cache *c, const char *key, int fd, struct error *err)
{
        autojson struct json_object *entry = read_entry(c, key, err);
        uint64_t size = json_get_u64(entry, "size", 0);
        autofree char *digest = NULL;
        struct stat st;

        if (!entry)
                return -1;
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "its archive cannot be read");
        if ((uint64_t)st.st_size != size)
                return error_set(err, ERR_PROTOCOL, "its archive has %" PRIu64 " bytes instead of %" PRIu64, (uint64_t)st.st_size,
                                 size);
        digest = digest_fd(fd, err);
        if (!digest)
                return -1;
        if (!streq(digest, json_get_string(entry, "digest", NULL)))
                return error_set(err, ERR_PROTOCOL, "its archive has another checksum than when it was written");
        return lseek(fd, 0, SEEK_SET) < 0 ? error_errno(err, errno, "its archive cannot be read") : 0;
}

int chroot_cache_use(const struct chroot_cache *c, const char *key, int *ret_fd, char **ret_broken, struct error *err)
{
        autofree char *folder = xasprintf("%s/%s", c->folder, key), *path = xasprintf("%s/" ARCHIVE_NAME, folder);
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct error why = ERROR_INIT;

        if (access(folder, F_OK) < 0)
                return 0;
        if (verify(c, key, fd, &why) == 0) {
                futimens(fd, NULL);
                *ret_fd = take_fd(&fd);
                return 1;
        }
        if (access(folder, F_OK) < 0) /* it has just been removed */
                return 0;
        *ret_broken = xasprintf("the copy '%s' is broken and is removed: %s", folder, why.message);
        return chroot_cache_remove(c, key, err);
}

static struct json_object *describe(const struct chroot_cache *c, const char *key)
{
        autofree char *path = xasprintf("%s/%s/" ARCHIVE_NAME, c->folder, key);
        struct json_object *entry = read_entry(c, key, NULL);
        struct stat st;

        if (!entry)
                entry = json_new();
        if (stat(path, &st) < 0)
                st = (struct stat){0};
        json_add_string(entry, "key", key);
        json_add_u64(entry, "size", (uint64_t)st.st_size);
        json_add_u64(entry, "used", (uint64_t)MAX(st.st_mtime, 0));
        return entry;
}

static int used_later(const void *a, const void *b)
{
        uint64_t one = json_get_u64(*(struct json_object *const *)a, "used", 0);
        uint64_t other = json_get_u64(*(struct json_object *const *)b, "used", 0);

        return one < other ? 1 : one > other ? -1 : 0;
}

struct json_object *chroot_cache_list(const struct chroot_cache *c)
{
        struct json_object *all = json_object_new_array();
        struct dirent **found = NULL;
        int n = scandir(c->folder, &found, is_entry, alphasort);

        for (int i = 0; i < n; i++) {
                json_object_array_add(all, describe(c, found[i]->d_name));
                free(found[i]);
        }
        free(found);
        json_object_array_sort(all, used_later);
        return all;
}

/* ---- writing */

int chroot_cache_new(const struct chroot_cache *c, struct new_entry *ret, struct error *err)
{
        autoentry struct new_entry n = NEW_ENTRY_INIT;
        autofree char *archive = NULL;
        autoclose int lock = lock_names(c, err);

        if (lock < 0)
                return -1;
        n.path = xasprintf("%s/" NEW_PREFIX "XXXXXX", c->folder);
        if (!mkdtemp(n.path)) {
                error_errno(err, errno, "cannot make a folder in '%s'", c->folder);
                free(take_ptr(n.path));
                return -1;
        }
        archive = xasprintf("%s/" ARCHIVE_NAME, n.path);
        n.lock = open(n.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        n.fd = open(archive, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (n.lock < 0 || n.fd < 0 || flock(n.lock, LOCK_EX | LOCK_NB) < 0)
                return error_errno(err, errno, "cannot make a file in '%s'", c->folder);
        *ret = n;
        n.path = NULL;
        n.lock = n.fd = -1;
        return 0;
}

void new_entry_done(struct new_entry *n)
{
        if (n->path)
                tree_remove(n->path, NULL);
        free(n->path);
        cleanup_close(&n->fd);
        cleanup_close(&n->lock);
        *n = (struct new_entry)NEW_ENTRY_INIT;
}

/* All that goes into a chroot but what the mirror had. Owned. */
static char *request_of(struct json_object *inputs)
{
        const char *line = json_line(inputs);
        autojson struct json_object *request = json_parse(line, strlen(line), NULL);

        json_object_object_del(request, "releases");
        return xstrdup(json_line(request));
}

/* Under the lock of all names. */
static int remove_older(const struct chroot_cache *c, const char *key, struct json_object *inputs, struct error *err)
{
        autojson struct json_object *all = chroot_cache_list(c);
        autofree char *request = request_of(inputs);
        int r = 0;

        for (size_t i = 0; i < json_object_array_length(all) && r == 0; i++) {
                struct json_object *entry = json_object_array_get_idx(all, i), *theirs = json_get(entry, "inputs");
                const char *other = json_get_string(entry, "key", "");
                autofree char *old = json_object_is_type(theirs, json_type_object) ? request_of(theirs) : NULL;

                if (!streq(other, key) && streq(old, request))
                        r = remove_locked(c, other, err);
        }
        return r;
}

static int write_entry(const struct new_entry *n, const char *key, struct json_object *inputs, struct error *err)
{
        autofree char *path = xasprintf("%s/" ENTRY_NAME, n->path), *digest = NULL;
        autojson struct json_object *entry = json_new();
        const char *line;
        struct stat st;

        if (lseek(n->fd, 0, SEEK_SET) < 0 || fstat(n->fd, &st) < 0)
                return error_errno(err, errno, "cannot read '%s/" ARCHIVE_NAME "'", n->path);
        digest = digest_fd(n->fd, err);
        if (!digest)
                return -1;
        json_add_string(entry, "key", key);
        json_add(entry, "inputs", json_object_get(inputs));
        json_add_string(entry, "digest", digest);
        json_add_u64(entry, "size", (uint64_t)st.st_size);
        json_add_u64(entry, "created", (uint64_t)time(NULL));
        line = json_line(entry);
        return file_write_atomic(path, 0600, line, strlen(line), err);
}

int chroot_cache_commit(const struct chroot_cache *c, struct new_entry *n, const char *key, struct json_object *inputs,
                        struct error *err)
{
        autofree char *path = xasprintf("%s/%s", c->folder, key);
        autoclose int lock = -1;

        if (write_entry(n, key, inputs, err) < 0)
                return -1;
        lock = lock_names(c, err);
        if (lock < 0)
                return -1;
        if (rename(n->path, path) < 0) /* never onto a folder that holds something: rename(2) */
                return errno == EEXIST || errno == ENOTEMPTY ? 0 : error_errno(err, errno, "cannot make '%s'", path);
        free(take_ptr(n->path));
        return remove_older(c, key, inputs, err);
}
