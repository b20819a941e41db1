/* SPDX-License-Identifier: MIT */
#include "archive/pack.h"
#include "archive/rootfs.h"
#include "archive/tar.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BLOCK          ((size_t)256 * 1024)
#define ATTRIBUTES_MAX ((size_t)64 * 1024)
#define ATTRIBUTE_MAX  ((size_t)64 * 1024)

struct packer {
        struct tar_writer tar;
        struct archive_entry_linkresolver *links;
        char *block;
        const char *top; /* for messages */
        unsigned depth;
};

static int pack_folder(struct packer *p, int fd, const char *path, struct error *err);

static int failed(const struct packer *p, const char *path, struct error *err)
{
        return error_errno(err, errno, "cannot archive '%s/%s'", p->top, path);
}

static struct archive_entry *new_entry(struct packer *p, const char *path, const struct stat *st)
{
        struct archive_entry *entry = archive_entry_clear(p->tar.entry);

        archive_entry_copy_stat(entry, st);
        archive_entry_set_pathname(entry, path);
        archive_entry_unset_atime(entry);
        archive_entry_unset_ctime(entry);
        return entry;
}

/* A tree on a filesystem without them has none. */
static int add_xattrs(struct archive_entry *entry, int fd)
{
        autofree char *names = xcalloc(1, ATTRIBUTES_MAX), *value = xcalloc(1, ATTRIBUTE_MAX);
        ssize_t n = flistxattr(fd, names, ATTRIBUTES_MAX);

        for (const char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
                ssize_t size;

                if (!str_has_prefix(name, "user.") && !streq(name, "security.capability"))
                        continue;
                size = fgetxattr(fd, name, value, ATTRIBUTE_MAX);
                if (size < 0)
                        return -1;
                archive_entry_xattr_add_entry(entry, name, value, (size_t)size);
        }
        return n < 0 && errno != ENOTSUP ? -1 : 0;
}

static int write_content(struct packer *p, int fd, const char *path, int64_t size, struct error *err)
{
        while (size > 0) {
                ssize_t n = read(fd, p->block, MIN(BLOCK, (size_t)size));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return failed(p, path, err);
                if (n == 0)
                        return error_set(err, ERR_STATE, "'%s/%s' became shorter while it was archived", p->top, path);
                if (tar_write_data(&p->tar, p->block, (size_t)n, err) < 0)
                        return -1;
                size -= n;
        }
        return 0;
}

/* One that has other names is written once; what comes later refers to that. */
static int pack_file(struct packer *p, int dir, const char *name, const char *path, struct error *err)
{
        autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct archive_entry *entry, *spare = NULL;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return failed(p, path, err);
        entry = new_entry(p, path, &st);
        if (add_xattrs(entry, fd) < 0)
                return failed(p, path, err);
        archive_entry_linkify(p->links, &entry, &spare);
        if (tar_write_header(&p->tar, err) < 0)
                return -1;
        return archive_entry_size(p->tar.entry) > 0 ? write_content(p, fd, path, st.st_size, err) : 0;
}

static int pack_symlink(struct packer *p, int dir, const char *name, const char *path, const struct stat *st, struct error *err)
{
        char content[PATH_MAX];
        ssize_t n = readlinkat(dir, name, content, sizeof(content) - 1);

        if (n < 0)
                return failed(p, path, err);
        content[n] = '\0';
        archive_entry_set_symlink(new_entry(p, path, st), content);
        return tar_write_header(&p->tar, err);
}

static int pack_entry(struct packer *p, int dir, const char *name, const char *path, struct error *err)
{
        autoclose int fd = -1;
        struct stat st;

        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return failed(p, path, err);
        switch (st.st_mode & S_IFMT) {
        case S_IFDIR:
                fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                return fd < 0 ? failed(p, path, err) : pack_folder(p, fd, path, err);
        case S_IFREG:
                return pack_file(p, dir, name, path, err);
        case S_IFLNK:
                return pack_symlink(p, dir, name, path, &st, err);
        case S_IFIFO:
                new_entry(p, path, &st);
                return tar_write_header(&p->tar, err);
        default:
                return 0;
        }
}

static int pack_content_of(struct packer *p, DIR *d, const char *path, struct error *err)
{
        struct dirent *e;

        while (errno = 0, (e = readdir(d))) {
                autofree char *below = xasprintf("%s/%s", path, e->d_name);

                if (!streq(e->d_name, ".") && !streq(e->d_name, "..") && pack_entry(p, dirfd(d), e->d_name, below, err) < 0)
                        return -1;
        }
        return errno ? failed(p, path, err) : 0;
}

static int pack_folder(struct packer *p, int fd, const char *path, struct error *err)
{
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 0), r;
        DIR *d = own < 0 ? NULL : fdopendir(own);
        struct stat st;

        if (p->depth == PACK_DEPTH_MAX) {
                r = error_set(err, ERR_UNSUPPORTED, "'%s/%s' is nested too deeply", p->top, path);
        } else if (!d || fstat(fd, &st) < 0 || add_xattrs(new_entry(p, path, &st), fd) < 0) {
                r = failed(p, path, err);
        } else if ((r = tar_write_header(&p->tar, err)) == 0) {
                p->depth++;
                r = pack_content_of(p, d, path, err);
                p->depth--;
        }
        if (d)
                closedir(d);
        else
                cleanup_close(&own);
        return r;
}

int rootfs_pack(const char *path, int fd, struct error *err)
{
        autoclose int top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct packer p = {.top = path};
        int r;

        if (top < 0)
                return error_errno(err, errno, "cannot read the folder '%s'", path);
        p.block = xcalloc(1, BLOCK);
        p.links = archive_entry_linkresolver_new();
        if (!p.links)
                abort();
        archive_entry_linkresolver_set_strategy(p.links, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE);
        tar_writer_init_portable(&p.tar, fd);
        r = pack_folder(&p, top, ".", err);
        if (r == 0)
                r = tar_write_end(&p.tar, err);
        tar_writer_done(&p.tar);
        archive_entry_linkresolver_free(p.links);
        free(p.block);
        return r;
}
