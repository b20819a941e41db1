/* SPDX-License-Identifier: MIT */
#include "chroot/farm.h"

#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Attributes of one file: what ext4 can keep in a block, and more. */
#define ATTRIBUTES_MAX ((size_t)64 * 1024)
#define ATTRIBUTE_MAX  ((size_t)64 * 1024)

#define OVERLAY_PREFIX "trusted.overlay."

/* A folder that is being merged. base or upper is -1 when there is none. */
struct level {
        int base, upper, to;
        unsigned depth;
        const char *path; /* for messages */
};

static int merge(const struct level *l, struct error *err);

static int failed(const struct level *l, const char *name, struct error *err)
{
        return error_errno(err, errno, "cannot take over '%s/%s'", l->path, name);
}

static int open_folder(int dir, const char *name)
{
        return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* ---- attributes */

/* Calls fn for the name of each extended attribute, but for the overlay's own unless `overlay`. A filesystem without them has
 * none. */
static int each_xattr(int fd, bool overlay, int (*fn)(int fd, const char *name, int to), int to)
{
        autofree char *names = xcalloc(1, ATTRIBUTES_MAX);
        ssize_t n = flistxattr(fd, names, ATTRIBUTES_MAX);

        if (n < 0)
                return errno == ENOTSUP ? 0 : -1;
        for (const char *name = names; name < names + n; name += strlen(name) + 1)
                if (str_has_prefix(name, OVERLAY_PREFIX) == overlay && fn(fd, name, to) < 0)
                        return -1;
        return 0;
}

static int copy_xattr(int from, const char *name, int to)
{
        autofree char *value = xcalloc(1, ATTRIBUTE_MAX);
        ssize_t n = fgetxattr(from, name, value, ATTRIBUTE_MAX);

        return n < 0 ? -1 : fsetxattr(to, name, value, (size_t)n, 0);
}

static int remove_xattr(int fd, const char *name, int to)
{
        (void)to;
        return fremovexattr(fd, name);
}

/* Owner before mode: chown(2) takes set-user-ID away. Times last. */
static int copy_attributes(int from, int to)
{
        struct stat st;

        if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0 ||
            each_xattr(from, false, copy_xattr, to) < 0)
                return -1;
        return futimens(to, (const struct timespec[2]){st.st_atim, st.st_mtim});
}

static bool is_opaque(int fd)
{
        char value = 0;

        return fgetxattr(fd, OVERLAY_PREFIX "opaque", &value, 1) == 1 && value == 'y';
}

static bool is_whiteout(const struct stat *st)
{
        return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* ---- entries */

static int make_folder(const struct level *l, const char *name, int base, int upper, struct error *err)
{
        autofree char *path = xasprintf("%s/%s", l->path, name);
        autoclose int to = -1;
        struct level below;

        if (l->depth >= FARM_DEPTH_MAX)
                return error_set(err, ERR_UNSUPPORTED, "'%s' is nested too deeply for a chroot", path);
        if (mkdirat(l->to, name, 0700) < 0 || (to = open_folder(l->to, name)) < 0)
                return failed(l, name, err);
        below = (struct level){.base = base, .upper = upper, .to = to, .depth = l->depth + 1, .path = path};
        return merge(&below, err);
}

/* A folder that is in one of the two, or in both. */
static int take_folder(const struct level *l, const char *name, bool in_base, bool in_upper, struct error *err)
{
        autoclose int base = -1, upper = -1;

        if ((in_base && (base = open_folder(l->base, name)) < 0) || (in_upper && (upper = open_folder(l->upper, name)) < 0))
                return failed(l, name, err);
        if (upper >= 0 && base >= 0 && is_opaque(upper))
                close(take_fd(&base));
        return make_folder(l, name, base, upper, err);
}

/* Something that is no folder, out of upper. */
static int move_file(const struct level *l, const char *name, const struct stat *st, struct error *err)
{
        if (renameat(l->upper, name, l->to, name) < 0)
                return failed(l, name, err);
        if (S_ISREG(st->st_mode)) {
                autoclose int fd = openat(l->to, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

                if (fd < 0 || each_xattr(fd, true, remove_xattr, -1) < 0)
                        return failed(l, name, err);
        }
        return 0;
}

static bool stat_in(int dir, const char *name, struct stat *ret)
{
        return dir >= 0 && fstatat(dir, name, ret, AT_SYMLINK_NOFOLLOW) == 0;
}

/* One name of base. */
static int take_from_base(const struct level *l, const char *name, struct error *err)
{
        struct stat base, upper;

        if (!stat_in(l->base, name, &base))
                return failed(l, name, err);
        if (stat_in(l->upper, name, &upper)) {
                if (is_whiteout(&upper))
                        return 0;
                if (!S_ISDIR(upper.st_mode))
                        return move_file(l, name, &upper, err);
                return take_folder(l, name, S_ISDIR(base.st_mode), true, err);
        }
        if (S_ISDIR(base.st_mode))
                return take_folder(l, name, true, false, err);
        return linkat(l->base, name, l->to, name, 0) < 0 ? failed(l, name, err) : 0;
}

/* One name of upper, of those that base does not have. */
static int take_from_upper(const struct level *l, const char *name, struct error *err)
{
        struct stat base, upper;

        if (!stat_in(l->upper, name, &upper))
                return errno == ENOENT ? 0 : failed(l, name, err); /* moved already */
        if (is_whiteout(&upper) || stat_in(l->base, name, &base))
                return 0;
        return S_ISDIR(upper.st_mode) ? take_folder(l, name, false, true, err) : move_file(l, name, &upper, err);
}

static int each_name(const struct level *l, int dir, int (*take)(const struct level *l, const char *name, struct error *err),
                     struct error *err)
{
        int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0), r = 0;
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        if (!d) {
                cleanup_close(&fd);
                return error_errno(err, errno, "cannot read '%s'", l->path);
        }
        for (errno = 0; r == 0 && (entry = readdir(d)); errno = 0)
                if (!streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
                        r = take(l, entry->d_name, err);
        if (r == 0 && errno)
                r = error_errno(err, errno, "cannot read '%s'", l->path);
        closedir(d);
        return r;
}

static int merge(const struct level *l, struct error *err)
{
        if (l->base >= 0 && each_name(l, l->base, take_from_base, err) < 0)
                return -1;
        if (l->upper >= 0 && each_name(l, l->upper, take_from_upper, err) < 0)
                return -1;
        if (copy_attributes(l->upper >= 0 ? l->upper : l->base, l->to) < 0)
                return error_errno(err, errno, "cannot set the attributes of '%s'", l->path);
        return 0;
}

int farm_copy(const char *base, const char *upper, const char *to, struct error *err)
{
        autoclose int b = open_folder(AT_FDCWD, base), u = upper ? open_folder(AT_FDCWD, upper) : -1,
                      t = open_folder(AT_FDCWD, to);
        const struct level top = {.base = b, .upper = u, .to = t, .path = ""};

        if (b < 0 || t < 0 || (upper && u < 0))
                return error_errno(err, errno, "cannot copy '%s' to '%s'", base, to);
        return merge(&top, err);
}
