/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders kept open by nftw(3) at once; deeper trees are still walked, only slower. */
#define WALK_FDS 32

char *file_read(const char *path, size_t max, size_t *ret_size, struct error *err)
{
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        autobuf struct buf b = {0};

        if (fd < 0) {
                error_errno(err, errno, "cannot read '%s'", path);
                return NULL;
        }
        for (;;) {
                ssize_t n = read(fd, buf_reserve(&b, 16384), 16384);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        error_errno(err, errno, "cannot read '%s'", path);
                        return NULL;
                }
                if (n == 0)
                        break;
                buf_commit(&b, (size_t)n);
                if (buf_size(&b) > max) {
                        error_set(err, ERR_INVALID, "'%s' is larger than %s", path, format_size(max));
                        return NULL;
                }
        }
        if (ret_size)
                *ret_size = buf_size(&b);
        return buf_take_string(&b);
}

int fd_write_all(int fd, const void *data, size_t n)
{
        const char *p = data;

        while (n > 0) {
                ssize_t r = write(fd, p, n);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return -1;
                p += r;
                n -= (size_t)r;
        }
        return 0;
}

int fd_write_at(int fd, const void *data, size_t n, int64_t offset)
{
        const char *p = data;

        while (n > 0) {
                ssize_t r = pwrite(fd, p, n, offset);
                if (r < 0 && errno == EINTR)
                        continue;
                if (r < 0)
                        return -1;
                p += r;
                n -= (size_t)r;
                offset += r;
        }
        return 0;
}

int file_write_atomic(const char *path, mode_t mode, const void *data, size_t n, struct error *err)
{
        autofree char *tmp = xasprintf("%s.XXXXXX", path);
        autoclose int fd = mkostemp(tmp, O_CLOEXEC);

        if (fd < 0)
                return error_errno(err, errno, "cannot write '%s'", path);
        if (fd_write_all(fd, data, n) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(tmp, path) < 0) {
                int saved = errno;
                unlink(tmp);
                return error_errno(err, saved, "cannot write '%s'", path);
        }
        return 0;
}

int file_sync(const char *path, struct error *err)
{
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd < 0 || fsync(fd) < 0 ? error_errno(err, errno, "cannot bring '%s' to the disk", path) : 0;
}

int dir_make(const char *path, mode_t mode, struct error *err)
{
        autofree char *copy = xstrdup(path);

        for (char *p = copy + (*copy != '\0');; p++) {
                char c = *p;
                struct stat st;
                if (c != '/' && c != '\0')
                        continue;
                *p = '\0';
                if (mkdir(copy, mode) < 0 && errno != EEXIST)
                        return error_errno(err, errno, "cannot make the folder '%s'", copy);
                if (stat(copy, &st) < 0)
                        return error_errno(err, errno, "cannot use the folder '%s'", copy);
                if (!S_ISDIR(st.st_mode))
                        return error_set(err, ERR_FAILED, "'%s' is not a folder", copy);
                *p = c;
                if (c == '\0')
                        return 0;
        }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path) < 0 && errno != ENOENT ? -1 : 0; /* somebody else may remove the same */
}

int tree_remove(const char *path, struct error *err)
{
        if (nftw(path, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT)
                return error_errno(err, errno, "cannot remove '%s'", path);
        return 0;
}

static _Thread_local uint64_t walked_bytes;

static int add_size(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)path;
        (void)type;
        (void)ftw;
        walked_bytes += (uint64_t)st->st_blocks * 512;
        return 0;
}

uint64_t tree_size(const char *path)
{
        walked_bytes = 0;
        nftw(path, add_size, WALK_FDS, FTW_PHYS | FTW_MOUNT);
        return walked_bytes;
}

int file_lock(const char *path, bool wait, struct error *err)
{
        autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0)
                return error_errno(err, errno, "cannot open the lock '%s'", path);
        while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0) {
                if (errno == EINTR)
                        continue;
                if (errno == EWOULDBLOCK)
                        return error_set(err, ERR_STATE, "'%s' is locked by another process", path);
                return error_errno(err, errno, "cannot lock '%s'", path);
        }
        return take_fd(&fd);
}

int fd_set_nonblock(int fd, bool nonblock)
{
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0)
                return -1;
        flags = nonblock ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
        return fcntl(fd, F_SETFL, flags);
}
