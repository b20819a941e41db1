/* SPDX-License-Identifier: MIT */
#include "archive/unpack.h"

#include "archive/tar.h"
#include "archive/target.h"
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Set-user-ID and set-group-ID belong to the owner that the file had. */
#define MODE_MASK 01777

/* A folder that is open. What it shall have is set when it is left: a time would not last, and a mode might lock us out. */
struct level {
        char *name;
        int fd;
        bool made; /* by us */
        mode_t mode;
        struct timespec mtime;
};

struct unpacker {
        const struct unpack_options *options;
        struct tar_reader tar;
        struct target target;
        char *first; /* the name that target.name stands for */
        struct level levels[UNPACK_DEPTH_MAX + 1];
        size_t depth; /* of levels[] that are open; levels[0] is the target */
        struct new_file file;
};

/* ---- where an entry belongs */

/* Its path, for messages: owned. */
static char *shown_path(const struct unpacker *u, char *const *components)
{
        autofree char *inside = strv_join(components, "/");
        const char *folder = u->target.path;

        if (!*folder || !*inside)
                return xstrdup(*folder ? folder : *inside ? inside : ".");
        return xasprintf("%s%s%s", folder, str_has_suffix(folder, "/") ? "" : "/", inside);
}

static int refuse(const char *name, const char *why, struct error *err)
{
        return error_set(err, ERR_PROTOCOL, "refused to unpack '%s': %s", name, why);
}

/* Its name is the first component; "." is the folder's content. */
static int check_top(struct unpacker *u, const char *path, const char *top, struct error *err)
{
        if (u->options->names && !strv_contains(u->options->names, top))
                return refuse(path, "it was not asked for", err);
        if (!u->first)
                u->first = xstrdup(top);
        else if (u->target.name && !streq(u->first, top))
                return refuse(path, "only one name can be given to what comes", err);
        return 0;
}

/* The components of its place below the target; none is the target itself. */
static int place_of(struct unpacker *u, const char *path, char ***ret, struct error *err)
{
        autostrv char **v = NULL, **parts = strv_split(path, "/");
        const char *top = parts[0] ? parts[0] : "";

        if (path[0] == '/')
                return refuse(path, "its name is absolute", err);
        if (!*top)
                return refuse(path, "it has no name", err);
        if (check_top(u, path, top, err) < 0)
                return -1;
        if (u->target.name)
                strv_add(&v, u->target.name);
        for (char **part = parts; *part; part++) {
                if (streq(*part, ".."))
                        return refuse(path, "its name leads out of the folder", err);
                if (!streq(*part, ".") && (part != parts || !u->target.name))
                        strv_add(&v, *part);
        }
        if (strv_length(v) > UNPACK_DEPTH_MAX)
                return refuse(path, "its folders are nested too deeply", err);
        *ret = take_ptr(v);
        return 0;
}

/* ---- folders */

static int leave(struct unpacker *u, struct error *err)
{
        struct level *l = &u->levels[--u->depth];
        const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, l->mtime};
        int r = 0;

        if (l->made && (fchmod(l->fd, l->mode) < 0 || futimens(l->fd, times) < 0))
                r = error_errno(err, errno, "cannot set the mode and time of the folder '%s'", l->name);
        if (u->depth > 0) /* that of the target is its owner's */
                close(l->fd);
        free(l->name);
        return r;
}

static int enter(struct unpacker *u, const char *name)
{
        int fd = openat(u->levels[u->depth - 1].fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return -1;
        u->levels[u->depth++] = (struct level){.name = xstrdup(name), .fd = fd};
        return 0;
}

/* Makes the first n components the open ones. */
static int go_to(struct unpacker *u, char *const *components, size_t n, struct error *err)
{
        size_t same = 0;

        while (same < n && same + 1 < u->depth && streq(u->levels[same + 1].name, components[same]))
                same++;
        while (u->depth > same + 1)
                if (leave(u, err) < 0)
                        return -1;
        for (; same < n; same++)
                if (enter(u, components[same]) < 0) {
                        autofree char *path = shown_path(u, components);

                        if (errno == ELOOP || errno == ENOTDIR)
                                return refuse(path, "its path leads through something that is no folder", err);
                        return error_errno(err, errno, "cannot unpack '%s'", path);
                }
        return 0;
}

static int make_folder(struct unpacker *u, const char *name, struct archive_entry *entry)
{
        bool made = mkdirat(u->levels[u->depth - 1].fd, name, 0700) == 0;

        if ((!made && errno != EEXIST) || enter(u, name) < 0)
                return -1;
        u->levels[u->depth - 1].made = made;
        u->levels[u->depth - 1].mode = archive_entry_perm(entry) & MODE_MASK;
        u->levels[u->depth - 1].mtime = (struct timespec){archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
        return 0;
}

/* ---- files and links */

static int write_file(struct unpacker *u, const char *path, struct archive_entry *entry, struct error *err)
{
        int64_t offset, end = 0, size = archive_entry_size(entry);
        const void *data;
        size_t n;
        int r;

        if (new_file_begin(&u->file, u->levels[u->depth - 1].fd, archive_entry_perm(entry) & 0777) < 0)
                return error_errno(err, errno, "cannot write '%s'", path);
        while ((r = tar_read_data(&u->tar, &data, &n, &offset, err)) > 0) {
                if (fd_write_at(u->file.fd, data, n, offset) < 0)
                        return error_errno(err, errno, "cannot write '%s'", path);
                end = n > 0 ? offset + (int64_t)n : end;
        }
        if (r < 0)
                return error_prefix(err, "cannot write '%s'", path);
        if (end != size && ftruncate(u->file.fd, size) < 0) /* a hole at the end */
                return error_errno(err, errno, "cannot write '%s'", path);
        return 0;
}

static int finish(struct unpacker *u, const char *path, const char *name, struct archive_entry *entry, struct error *err)
{
        const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)}};
        int r;

        if (u->file.fd >= 0)
                r = futimens(u->file.fd, times);
        else
                r = utimensat(u->file.folder, u->file.name, times, AT_SYMLINK_NOFOLLOW);
        if (r == 0 && new_file_finish(&u->file, name) == 0)
                return 0;
        if (errno == EISDIR)
                return error_set(err, ERR_EXISTS, "cannot write '%s': there is a folder of this name", path);
        return error_errno(err, errno, "cannot write '%s'", path);
}

/* ---- entries */

static int unpack_folder(struct unpacker *u, const char *path, const char *name, struct archive_entry *entry, struct error *err)
{
        if (!name || make_folder(u, name, entry) == 0) /* the target itself is there */
                return 0;
        if (errno == ENOTDIR || errno == ELOOP)
                return error_set(err, ERR_EXISTS, "cannot make the folder '%s': there is something else of this name", path);
        return error_errno(err, errno, "cannot make the folder '%s'", path);
}

static int unpack_other(struct unpacker *u, const char *path, const char *name, struct archive_entry *entry, struct error *err)
{
        if (!name)
                return refuse(archive_entry_pathname(entry), "it would replace the folder", err);
        if (u->target.only_folder && u->depth == 1)
                return error_set(err, ERR_NOT_FOUND, "there is no folder '%s'", path);
        if (archive_entry_filetype(entry) == AE_IFREG)
                return write_file(u, path, entry, err) < 0 ? -1 : finish(u, path, name, entry, err);
        if (new_file_symlink(&u->file, u->levels[u->depth - 1].fd, archive_entry_symlink(entry)) < 0)
                return error_errno(err, errno, "cannot make the symbolic link '%s'", path);
        return finish(u, path, name, entry, err);
}

static int check_type(struct archive_entry *entry, const char *path, struct error *err)
{
        if (archive_entry_hardlink(entry))
                return refuse(path, "it is a hard link", err);
        switch (archive_entry_filetype(entry)) {
        case AE_IFREG:
        case AE_IFDIR:
                return 0;
        case AE_IFLNK:
                if (!archive_entry_symlink(entry))
                        return refuse(path, "it is a symbolic link to nothing", err);
                return 0;
        default:
                return refuse(path, "it is neither a file nor a folder nor a symbolic link", err);
        }
}

static int unpack_entry(struct unpacker *u, struct archive_entry *entry, struct error *err)
{
        const char *path = archive_entry_pathname(entry);
        autostrv char **components = NULL;
        autofree char *shown = NULL;
        size_t n;
        const char *name;

        if (!path)
                return error_set(err, ERR_PROTOCOL, "refused to unpack an entry whose name cannot be read");
        if (check_type(entry, path, err) < 0 || place_of(u, path, &components, err) < 0)
                return -1;
        n = strv_length(components);
        name = n > 0 ? components[n - 1] : NULL;
        if (go_to(u, components, n > 0 ? n - 1 : 0, err) < 0)
                return -1;
        shown = shown_path(u, components);
        if (archive_entry_filetype(entry) == AE_IFDIR)
                return unpack_folder(u, shown, name, entry, err);
        return unpack_other(u, shown, name, entry, err);
}

/* Nothing is made, and nothing found missing, before the first entry is there. */
static int find_target(struct unpacker *u, struct error *err)
{
        const char *path = u->options->target;

        if (target_find(path, &u->target, err) < 0)
                return -1;
        if (u->options->into && u->target.name)
                return error_set(err, ERR_NOT_FOUND, "there is no folder '%s' to copy into", path);
        u->levels[u->depth++] = (struct level){.fd = u->target.folder};
        return 0;
}

static int unpack_all(struct unpacker *u, struct error *err)
{
        struct archive_entry *entry;
        int r;

        while ((r = tar_read_header(&u->tar, &entry, err)) > 0)
                if ((u->depth == 0 && find_target(u, err) < 0) || unpack_entry(u, entry, err) < 0)
                        return -1;
        return r;
}

int unpack(const struct unpack_options *options, struct error *err)
{
        struct unpacker *u = xcalloc(1, sizeof(*u));
        struct error ignored;
        int r;

        u->options = options;
        u->target = (struct target)TARGET_INIT;
        u->file = (struct new_file)NEW_FILE_INIT;
        tar_reader_init(&u->tar, options->fd);
        r = unpack_all(u, err);
        new_file_abandon(&u->file);
        while (u->depth > 0)
                if (leave(u, r < 0 ? &ignored : err) < 0)
                        r = -1;
        target_done(&u->target);
        tar_reader_done(&u->tar);
        free(u->first);
        free(u);
        return r;
}

/* ---- content alone */

static int write_zeros(int fd, int64_t n)
{
        static uint8_t zeros[64 * 1024]; /* not const: then the program would hold them */

        for (; n > 0; n -= (int64_t)MIN((uint64_t)n, sizeof(zeros)))
                if (fd_write_all(fd, zeros, MIN((size_t)n, sizeof(zeros))) < 0)
                        return -1;
        return 0;
}

static int copy_content(struct tar_reader *tar, struct archive_entry *entry, int to, struct error *err)
{
        const char *path = archive_entry_pathname(entry);
        int64_t at = 0, offset;
        const void *data;
        size_t n;
        int r;

        if (!path || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
                return error_set(err, ERR_INVALID, "'%s' is not a file: only the content of one can be written there",
                                 path ? path : "");
        while ((r = tar_read_data(tar, &data, &n, &offset, err)) > 0) {
                if (offset < at)
                        return refuse(path, "its pieces are not in order", err);
                if (write_zeros(to, offset - at) < 0 || fd_write_all(to, data, n) < 0)
                        return error_errno(err, errno, "cannot write the content of '%s'", path);
                at = offset + (int64_t)n;
        }
        if (r == 0 && write_zeros(to, archive_entry_size(entry) - at) < 0)
                return error_errno(err, errno, "cannot write the content of '%s'", path);
        return r;
}

int unpack_content(int from, int to, struct error *err)
{
        struct archive_entry *entry;
        struct tar_reader tar;
        int r;

        tar_reader_init(&tar, from);
        while ((r = tar_read_header(&tar, &entry, err)) > 0)
                if ((r = copy_content(&tar, entry, to, err)) < 0)
                        break;
        tar_reader_done(&tar);
        return r;
}

int unpack_to_file(int from, const char *path, struct error *err)
{
        autotarget struct target target = TARGET_INIT;
        struct new_file file = NEW_FILE_INIT;
        mode_t mode = 0644;
        struct stat st;
        int r;

        if (target_find(path, &target, err) < 0)
                return -1;
        if (!target.name || target.only_folder)
                return error_set(err, ERR_INVALID, "'%s' is a folder: name the file that is to be written", path);
        if (fstatat(target.folder, target.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
                mode = st.st_mode & 0777;
        if (new_file_begin(&file, target.folder, mode) < 0)
                return error_errno(err, errno, "cannot write '%s'", path);
        r = unpack_content(from, file.fd, err);
        if (r < 0)
                error_prefix(err, "cannot write '%s'", path);
        else if (new_file_finish(&file, target.name) < 0)
                r = error_errno(err, errno, "cannot write '%s'", path);
        new_file_abandon(&file);
        return r;
}
