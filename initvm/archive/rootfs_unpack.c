/* SPDX-License-Identifier: MIT */
#include "archive/rootfs.h"
#include "archive/tar.h"
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A folder's time lasts only when nothing is put into it any more: all are set at the end. */
struct folder_time {
        char *path;
        struct timespec mtime;
};

struct unpacker {
        struct tar_reader tar;
        int top;
        struct folder_time *folders;
        size_t n_folders;
};

/* One entry: its path without "./", the open folder that it is in, and its name there (NULL: the top itself). */
struct place {
        char *path;
        const char *name;
        int folder;
};

static void place_done(struct place *p)
{
        free(p->path);
        cleanup_close(&p->folder);
}
#define autoplace __attribute__((cleanup(place_done)))

static int refuse(const char *name, const char *why, struct error *err)
{
        return error_set(err, ERR_PROTOCOL, "refused to unpack '%s': %s", name, why);
}

static int failed(const char *name, struct error *err)
{
        return error_errno(err, errno, "cannot unpack '%s'", name);
}

/* "./usr//bin/" as "usr/bin": owned; "" is the top. */
static int normalise(const char *name, char **ret, struct error *err)
{
        autostrv char **parts = NULL, **all = strv_split(name, "/");

        if (name[0] == '/')
                return refuse(name, "its name is absolute", err);
        for (char **part = all; *part; part++) {
                if (streq(*part, ".."))
                        return refuse(name, "its name leads out of the root filesystem", err);
                if (!streq(*part, "."))
                        strv_add(&parts, *part);
        }
        *ret = strv_join(parts, "/");
        return 0;
}

static int open_beneath(int top, const char *path, uint64_t flags)
{
        struct open_how how = {.flags = flags | O_CLOEXEC,
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

        return (int)syscall(SYS_openat2, top, *path ? path : ".", &how, sizeof(how));
}

/* Opens the folder that a path is in, which must be there: an archive names a folder before what is in it. Some leave folders
 * out, which are made then. */
static int find_folder(struct unpacker *u, const char *path, struct error *err)
{
        autofree char *folder = xstrdup(path);
        char *slash = strrchr(folder, '/');
        int fd;

        if (!slash)
                return open_beneath(u->top, "", O_RDONLY | O_DIRECTORY);
        *slash = '\0';
        fd = open_beneath(u->top, folder, O_RDONLY | O_DIRECTORY);
        if (fd < 0 && errno == ENOENT) {
                autoclose int above = find_folder(u, folder, err);
                const char *name = strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder;

                if (above < 0)
                        return -1;
                if (mkdirat(above, name, 0755) == 0)
                        fd = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
                return refuse(path, "its path leads through something that is no folder", err);
        return fd < 0 ? failed(path, err) : fd;
}

static int find_place(struct unpacker *u, const char *name, struct place *ret, struct error *err)
{
        if (normalise(name, &ret->path, err) < 0)
                return -1;
        if (*ret->path)
                ret->name = strrchr(ret->path, '/') ? strrchr(ret->path, '/') + 1 : ret->path;
        ret->folder = find_folder(u, ret->path, err);
        return ret->folder < 0 ? -1 : 0;
}

/* ---- attributes */

static struct timespec mtime_of(struct archive_entry *entry)
{
        return (struct timespec){archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
}

static int set_xattrs(int fd, struct archive_entry *entry, const char *path, struct error *err)
{
        const char *name;
        const void *value;
        size_t n;

        archive_entry_xattr_reset(entry);
        while (archive_entry_xattr_next(entry, &name, &value, &n) == ARCHIVE_OK) {
                if (!str_has_prefix(name, "user.") && !streq(name, "security.capability"))
                        return refuse(path, "it has an extended attribute that no root filesystem needs", err);
                if (fsetxattr(fd, name, value, n, 0) < 0)
                        return failed(path, err);
        }
        return 0;
}

/* Owner before mode and capabilities: chown(2) takes these away. */
static int set_attributes(int fd, struct archive_entry *entry, const char *path, struct error *err)
{
        if (fchown(fd, (uid_t)archive_entry_uid(entry), (gid_t)archive_entry_gid(entry)) < 0 ||
            fchmod(fd, archive_entry_perm(entry)) < 0)
                return failed(path, err);
        return set_xattrs(fd, entry, path, err);
}

/* ---- entries */

static int unpack_file(struct unpacker *u, const struct place *p, struct archive_entry *entry, struct error *err)
{
        autoclose int fd = openat(p->folder, p->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, mtime_of(entry)};
        int64_t offset;
        const void *data;
        size_t n;
        int r;

        if (fd < 0)
                return failed(p->path, err);
        while ((r = tar_read_data(&u->tar, &data, &n, &offset, err)) > 0)
                if (fd_write_at(fd, data, n, offset) < 0)
                        return failed(p->path, err);
        if (r < 0)
                return error_prefix(err, "cannot unpack '%s'", p->path);
        if (ftruncate(fd, archive_entry_size(entry)) < 0) /* a hole at the end */
                return failed(p->path, err);
        if (set_attributes(fd, entry, p->path, err) < 0)
                return -1;
        return futimens(fd, times) < 0 ? failed(p->path, err) : 0;
}

static int unpack_folder(struct unpacker *u, const struct place *p, struct archive_entry *entry, struct error *err)
{
        autoclose int fd = -1;

        if (p->name && mkdirat(p->folder, p->name, 0700) < 0 && errno != EEXIST)
                return failed(p->path, err);
        fd = open_beneath(u->top, p->path, O_RDONLY | O_DIRECTORY);
        if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
                return refuse(p->path, "there is something else of this name", err);
        if (fd < 0)
                return failed(p->path, err);
        if (set_attributes(fd, entry, p->path, err) < 0)
                return -1;
        u->folders = xrealloc(u->folders, u->n_folders + 1, sizeof(*u->folders));
        u->folders[u->n_folders++] = (struct folder_time){.path = xstrdup(p->path), .mtime = mtime_of(entry)};
        return 0;
}

static int unpack_symlink(const struct place *p, struct archive_entry *entry, struct error *err)
{
        const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, mtime_of(entry)};
        const char *content = archive_entry_symlink(entry);

        if (!content || !*content)
                return refuse(p->path, "it is a symbolic link to nothing", err);
        if (symlinkat(content, p->folder, p->name) < 0 ||
            fchownat(p->folder, p->name, (uid_t)archive_entry_uid(entry), (gid_t)archive_entry_gid(entry), AT_SYMLINK_NOFOLLOW) <
                    0 ||
            utimensat(p->folder, p->name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return failed(p->path, err);
        return 0;
}

static int unpack_fifo(const struct place *p, struct archive_entry *entry, struct error *err)
{
        if (mkfifoat(p->folder, p->name, 0600) < 0 ||
            fchownat(p->folder, p->name, (uid_t)archive_entry_uid(entry), (gid_t)archive_entry_gid(entry), AT_SYMLINK_NOFOLLOW) <
                    0 ||
            fchmodat(p->folder, p->name, archive_entry_perm(entry), 0) < 0)
                return failed(p->path, err);
        return 0;
}

static int unpack_hardlink(struct unpacker *u, const struct place *p, struct archive_entry *entry, struct error *err)
{
        autoplace struct place first = {.folder = -1};
        struct stat st;

        if (find_place(u, archive_entry_hardlink(entry), &first, err) < 0)
                return error_prefix(err, "the hard link '%s'", p->path);
        if (!first.name || fstatat(first.folder, first.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return refuse(p->path, "it is a hard link to something that did not come before it", err);
        if (S_ISDIR(st.st_mode))
                return refuse(p->path, "it is a hard link to a folder", err);
        return linkat(first.folder, first.name, p->folder, p->name, 0) < 0 ? failed(p->path, err) : 0;
}

static bool is_below_dev(const char *path)
{
        return str_has_prefix(path, "dev/");
}

/* One that came before under the same name gives way, unless it is a folder. */
static int make_room(const struct place *p, struct error *err)
{
        if (!p->name)
                return refuse(".", "it would replace the root folder", err);
        if (unlinkat(p->folder, p->name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno == EISDIR)
                return refuse(p->path, "there is a folder of this name", err);
        return failed(p->path, err);
}

static int unpack_entry(struct unpacker *u, struct archive_entry *entry, struct error *err)
{
        const char *name = archive_entry_pathname(entry);
        autoplace struct place p = {.folder = -1};
        mode_t type = archive_entry_filetype(entry);

        if (!name)
                return error_set(err, ERR_PROTOCOL, "refused to unpack an entry whose name cannot be read");
        if (find_place(u, name, &p, err) < 0)
                return -1;
        if (type == AE_IFDIR && !archive_entry_hardlink(entry))
                return unpack_folder(u, &p, entry, err);
        if (!archive_entry_hardlink(entry) &&
            (type == AE_IFSOCK || ((type == AE_IFCHR || type == AE_IFBLK) && is_below_dev(p.path))))
                return 0;
        if (make_room(&p, err) < 0)
                return -1;
        if (archive_entry_hardlink(entry))
                return unpack_hardlink(u, &p, entry, err);
        switch (type) {
        case AE_IFREG:
                return unpack_file(u, &p, entry, err);
        case AE_IFLNK:
                return unpack_symlink(&p, entry, err);
        case AE_IFIFO:
                return unpack_fifo(&p, entry, err);
        default:
                return refuse(p.path, "it is a device outside of /dev", err);
        }
}

static int set_folder_times(struct unpacker *u, struct error *err)
{
        for (size_t i = u->n_folders; i-- > 0;) {
                const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, u->folders[i].mtime};
                autoclose int fd = open_beneath(u->top, u->folders[i].path, O_RDONLY | O_DIRECTORY);

                if (fd < 0 || futimens(fd, times) < 0)
                        return failed(u->folders[i].path, err);
        }
        return 0;
}

int rootfs_unpack(int fd, const char *path, struct error *err)
{
        struct unpacker u = {.top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        struct archive_entry *entry;
        int r;

        if (u.top < 0)
                return error_errno(err, errno, "cannot unpack into '%s'", path);
        tar_reader_init(&u.tar, fd);
        while ((r = tar_read_header(&u.tar, &entry, err)) > 0)
                if (unpack_entry(&u, entry, err) < 0) {
                        r = -1;
                        break;
                }
        if (r == 0)
                r = set_folder_times(&u, err);
        tar_reader_done(&u.tar);
        for (size_t i = 0; i < u.n_folders; i++)
                free(u.folders[i].path);
        free(u.folders);
        close(u.top);
        return r;
}
