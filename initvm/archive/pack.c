/* SPDX-License-Identifier: MIT */
#include "archive/pack.h"

#include "archive/name.h"
#include "archive/report.h"
#include "archive/tar.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of an entry beside its content: its header, an extended one and that one's content, 512 bytes each. */
#define ENTRY_COST 1536

/* Files are read in pieces of this size: many times TAR_WRITE_SIZE. */
#define BLOCK ((size_t)1024 * 1024)

/* More pieces of data than that in a sparse file, and what is left is sent as data: the list of them is kept in memory. */
#define EXTENTS_MAX 65536

struct packer {
        const struct pack_options *options;
        struct tar_writer tar;
        char *block;      /* BLOCK bytes for file contents */
        struct buf name;  /* of the entry, without a NUL */
        const char *path; /* of the source, for messages */
        size_t path_skip; /* how much of `name` stands for it */
        unsigned depth;
};

/* ---- names */

/* Goes down by one name; returns what to give to shorten(). */
static size_t lengthen(struct packer *p, const char *name)
{
        size_t before = buf_size(&p->name);

        if (before > 0)
                buf_append(&p->name, "/", 1);
        buf_append(&p->name, name, strlen(name));
        return before;
}

static void shorten(struct packer *p, size_t before)
{
        p->name.end = p->name.start + before;
}

/* The path as the user knows it: owned. */
static char *shown_path(const struct packer *p)
{
        return xasprintf("%s%.*s", p->path, (int)(buf_size(&p->name) - p->path_skip), (char *)buf_head(&p->name) + p->path_skip);
}

/* Returns 0: the copy goes on. */
static int leave_out(struct packer *p, const char *why)
{
        autofree char *path = shown_path(p);

        report_warning(p->options->reports, "left out '%s': %s", path, why);
        return 0;
}

/* ---- entries */

static struct archive_entry *new_entry(struct packer *p, const struct stat *st)
{
        struct archive_entry *entry = archive_entry_clear(p->tar.entry);

        buf_append(&p->name, "", 1);
        archive_entry_set_pathname(entry, (char *)buf_head(&p->name));
        shorten(p, buf_size(&p->name) - 1);
        archive_entry_set_mode(entry, st->st_mode);
        archive_entry_set_mtime(entry, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
        return entry;
}

static int pack_symlink(struct packer *p, int dir, const char *name, struct error *err)
{
        char content[PATH_MAX];
        struct stat st;
        ssize_t n;

        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (n = readlinkat(dir, name, content, sizeof(content) - 1)) < 0)
                return leave_out(p, strerror(errno));
        content[n] = '\0';
        archive_entry_set_symlink(new_entry(p, &st), content);
        return tar_write_header(&p->tar, err);
}

/* ---- contents */

static int shrank(struct packer *p, struct error *err)
{
        autofree char *path = shown_path(p);

        return error_set(err, ERR_STATE, "'%s' became shorter while it was copied; copy it again when nobody writes to it", path);
}

static int pack_data(struct packer *p, int fd, int64_t from, int64_t to, struct error *err)
{
        while (from < to) {
                ssize_t n = pread(fd, p->block, MIN(BLOCK, (size_t)(to - from)), from);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        autofree char *path = shown_path(p);
                        return error_errno(err, errno, "cannot read '%s'", path);
                }
                if (n == 0)
                        return shrank(p, err);
                if (tar_write_data(&p->tar, p->block, (size_t)n, err) < 0)
                        return -1;
                from += n;
        }
        return 0;
}

/* libarchive wants to see the holes as well, though it does not write them. */
static int pack_hole(struct packer *p, int64_t n, struct error *err)
{
        static char zeros[1024 * 1024]; /* not const: then the program would hold them */

        for (; n > 0; n -= (int64_t)MIN((uint64_t)n, sizeof(zeros)))
                if (tar_write_data(&p->tar, zeros, MIN((size_t)n, sizeof(zeros)), err) < 0)
                        return -1;
        return 0;
}

/* Tells the entry where there is data: lseek(2). */
static void find_extents(int fd, const struct stat *st, struct archive_entry *entry)
{
        off_t data, hole = 0;

        for (int i = 0; i < EXTENTS_MAX && (data = lseek(fd, hole, SEEK_DATA)) >= 0 && data < st->st_size; i++) {
                hole = lseek(fd, data, SEEK_HOLE);
                if (hole < 0 || hole > st->st_size || i == EXTENTS_MAX - 1)
                        hole = st->st_size;
                archive_entry_sparse_add_entry(entry, data, hole - data);
        }
        if (hole == 0) /* nothing but a hole */
                archive_entry_sparse_add_entry(entry, 0, 0);
}

static int pack_sparse_data(struct packer *p, int fd, const struct stat *st, struct error *err)
{
        int64_t at = 0, offset, length;

        archive_entry_sparse_reset(p->tar.entry);
        while (archive_entry_sparse_next(p->tar.entry, &offset, &length) == ARCHIVE_OK) {
                if (pack_hole(p, offset - at, err) < 0 || pack_data(p, fd, offset, offset + length, err) < 0)
                        return -1;
                at = offset + length;
        }
        return pack_hole(p, st->st_size - at, err);
}

static int pack_open_file(struct packer *p, int fd, struct error *err)
{
        struct archive_entry *entry;
        struct stat st;
        bool sparse;

        if (fstat(fd, &st) < 0)
                return leave_out(p, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return leave_out(p, "it has become something else");
        entry = new_entry(p, &st);
        archive_entry_set_size(entry, st.st_size);
        if (st.st_blocks < st.st_size / 512)
                find_extents(fd, &st, entry);
        sparse = archive_entry_sparse_count(entry) > 0; /* not when all of it is data */
        if (tar_write_header(&p->tar, err) < 0)
                return -1;
        return sparse ? pack_sparse_data(p, fd, &st, err) : pack_data(p, fd, 0, st.st_size, err);
}

/* ---- the tree */

static int pack_entry(struct packer *p, int dir, const char *name, unsigned char type, int open_flags, struct error *err);

static bool is_dots(const char *name)
{
        return streq(name, ".") || streq(name, "..");
}

static int pack_folder(struct packer *p, DIR *d, struct error *err)
{
        struct dirent *e;

        while (errno = 0, (e = readdir(d))) {
                size_t before;
                int r;

                if (is_dots(e->d_name))
                        continue;
                before = lengthen(p, e->d_name);
                r = pack_entry(p, dirfd(d), e->d_name, e->d_type, O_NOFOLLOW, err);
                shorten(p, before);
                if (r < 0)
                        return -1;
        }
        return errno ? leave_out(p, strerror(errno)) : 0;
}

static int pack_open_folder(struct packer *p, int *fd, struct error *err)
{
        struct stat st;
        DIR *d;
        int r;

        if (p->depth == PACK_DEPTH_MAX)
                return leave_out(p, "its folders are nested too deeply");
        if (fstat(*fd, &st) < 0)
                return leave_out(p, strerror(errno));
        new_entry(p, &st);
        if (tar_write_header(&p->tar, err) < 0)
                return -1;
        d = fdopendir(*fd);
        if (!d)
                return leave_out(p, strerror(errno));
        take_fd(fd);
        p->depth++;
        r = pack_folder(p, d, err);
        p->depth--;
        closedir(d);
        return r;
}

/* O_NONBLOCK: what was a file a moment ago may be a fifo now. */
static int pack_entry(struct packer *p, int dir, const char *name, unsigned char type, int open_flags, struct error *err)
{
        autoclose int fd = -1;
        struct stat st;

        if (type == DT_UNKNOWN) { /* some filesystems do not tell: readdir(3) */
                if (fstatat(dir, name, &st, open_flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0) < 0)
                        return leave_out(p, strerror(errno));
                type = IFTODT(st.st_mode);
        }
        if (type == DT_LNK)
                return pack_symlink(p, dir, name, err);
        if (type != DT_REG && type != DT_DIR)
                return leave_out(p, "it is neither a file nor a folder nor a symbolic link");
        fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | open_flags | (type == DT_DIR ? O_DIRECTORY : 0));
        if (fd < 0)
                return leave_out(p, strerror(errno));
        return type == DT_DIR ? pack_open_folder(p, &fd, err) : pack_open_file(p, fd, err);
}

static int pack_source(struct packer *p, const char *path, struct error *err)
{
        autofree char *name = name_of_source(path);

        shorten(p, 0);
        lengthen(p, name);
        p->path = path;
        p->path_skip = strlen(name);
        return pack_entry(p, AT_FDCWD, *path ? path : ".", DT_UNKNOWN, 0, err);
}

int pack_order(const char *a, const char *b)
{
        while (*a && *a == *b) {
                a++;
                b++;
        }
        if (*a == '/' || *b == '/')
                return *a == *b ? 0 : *a == '/' ? (*b ? -1 : 1) : (*a ? 1 : -1);
        return (unsigned char)*a - (unsigned char)*b;
}

/* A folder on the way to what is packed: its header alone, unless the path before has led through it. Returns its fd. */
static int pack_way(struct packer *p, int dir, const char *name, const char *before, struct error *err)
{
        autoclose int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        size_t n;
        struct stat st;

        lengthen(p, name);
        n = buf_size(&p->name);
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "cannot copy '%s'", p->path);
        if (before && strncmp(before, (char *)buf_head(&p->name), n) == 0 && before[n] == '/')
                return take_fd(&fd);
        new_entry(p, &st);
        return tar_write_header(&p->tar, err) < 0 ? -1 : take_fd(&fd);
}

static int pack_below(struct packer *p, const char *path, const char *before, struct error *err)
{
        autostrv char **components = strv_split(path, "/");
        autoclose int dir = open(p->options->below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char **at = components;

        if (dir < 0)
                return error_errno(err, errno, "cannot open the folder '%s'", p->options->below);
        shorten(p, 0);
        p->path = path;
        for (; at[0] && at[1]; at++) {
                int next = pack_way(p, dir, *at, before, err);

                if (next < 0)
                        return -1;
                close(dir);
                dir = next;
        }
        if (!*at)
                return error_set(err, ERR_INVALID, "cannot copy '%s': it is not a path in a folder", path);
        lengthen(p, *at);
        p->path_skip = buf_size(&p->name);
        return pack_entry(p, dir, *at, DT_UNKNOWN, O_NOFOLLOW, err);
}

/* ---- how much it will be */

static uint64_t size_of(int dir, const char *name, int flags, unsigned depth)
{
        uint64_t size = ENTRY_COST;
        struct stat st;
        struct dirent *e;
        DIR *d;
        int fd;

        if (fstatat(dir, name, &st, flags) < 0)
                return 0;
        if (S_ISREG(st.st_mode))
                return size + MIN((uint64_t)st.st_size, (uint64_t)st.st_blocks * 512);
        if (!S_ISDIR(st.st_mode) || depth == PACK_DEPTH_MAX)
                return size;
        fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                cleanup_close(&fd);
                return size;
        }
        while ((e = readdir(d)))
                if (!is_dots(e->d_name))
                        size += size_of(dirfd(d), e->d_name, AT_SYMLINK_NOFOLLOW, depth + 1);
        closedir(d);
        return size;
}

/* Before anything is written: what is named is there. */
static int look_first(const struct pack_options *o, struct error *err)
{
        uint64_t total = 0;
        struct stat st;

        for (char *const *path = o->paths; *path; path++) {
                if (stat(**path ? *path : ".", &st) < 0)
                        return error_errno(err, errno, "cannot copy '%s'", *path);
                if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                        return error_set(err, ERR_INVALID, "cannot copy '%s': it is neither a file nor a folder", *path);
        }
        for (char *const *path = o->paths; o->total && *path; path++)
                total += size_of(AT_FDCWD, **path ? *path : ".", 0, 0);
        if (o->total)
                report_total(o->reports, total);
        return 0;
}

int pack(const struct pack_options *options, struct error *err)
{
        struct packer p = {.options = options};
        int r = 0;

        if (!options->below && look_first(options, err) < 0)
                return -1;
        p.block = xcalloc(1, BLOCK);
        tar_writer_init(&p.tar, options->fd);
        for (char *const *path = options->paths; *path && r == 0; path++)
                r = options->below ? pack_below(&p, *path, path > options->paths ? path[-1] : NULL, err)
                                   : pack_source(&p, *path, err);
        if (r == 0)
                r = tar_write_end(&p.tar, err);
        tar_writer_done(&p.tar);
        buf_done(&p.name);
        free(p.block);
        return r;
}

/* ---- content alone */

/* As much as there is, up to a block: 0 at the end. */
static ssize_t read_block(int fd, char *block)
{
        size_t n = 0;

        while (n < BLOCK) {
                ssize_t r = read(fd, block + n, BLOCK - n);

                if (r < 0 && errno != EINTR)
                        return -1;
                if (r == 0)
                        break;
                n += (size_t)MAX(r, 0);
        }
        return (ssize_t)n;
}

int pack_content(int from, int fd, struct error *err)
{
        autofree char *block = xcalloc(1, BLOCK);
        struct tar_writer tar;
        ssize_t n;
        int r = 0;

        tar_writer_init(&tar, fd);
        archive_entry_set_pathname(tar.entry, "content");
        archive_entry_set_mode(tar.entry, S_IFREG | 0600);
        while (r == 0 && (n = read_block(from, block)) > 0) {
                archive_entry_set_size(tar.entry, n);
                r = tar_write_header(&tar, err);
                if (r == 0)
                        r = tar_write_data(&tar, block, (size_t)n, err);
        }
        if (r == 0 && n < 0)
                r = error_errno(err, errno, "cannot read the standard input");
        if (r == 0)
                r = tar_write_end(&tar, err);
        tar_writer_done(&tar);
        return r;
}
