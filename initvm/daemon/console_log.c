/* SPDX-License-Identifier: MIT */
/*
 * QEMU keeps the file open and appends, so it can be neither renamed nor truncated without losing what comes in between.
 * fallocate(2) takes whole blocks out of its beginning in one step: FALLOC_FL_COLLAPSE_RANGE (ext4, xfs) really shortens the
 * file; where a file system has not got it, FALLOC_FL_PUNCH_HOLE gives at least the space back.
 */
#include "daemon/console_log.h"

#include "base/error.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_SIZE (256u * 1024)

size_t console_log_tail(const char *path, uint8_t *ret, size_t n)
{
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        ssize_t r;

        if (fd < 0 || fstat(fd, &st) < 0)
                return 0;
        r = pread(fd, ret, n, st.st_size > (off_t)n ? st.st_size - (off_t)n : 0);
        return r > 0 ? (size_t)r : 0;
}

static int copy_range(int from, int to, off_t offset, off_t end)
{
        while (offset < end) {
                ssize_t n = copy_file_range(from, &offset, to, NULL, (size_t)MIN(end - offset, (off_t)COPY_SIZE), 0);
                if (n <= 0)
                        return -1;
        }
        return 0;
}

void console_log_rotate(const char *path)
{
        autofree char *old = xasprintf("%s.1", path), *tmp = xasprintf("%s.new", old);
        autoclose int from = open(path, O_RDWR | O_CLOEXEC), to = -1;
        struct stat st;
        off_t begin, whole;

        if (from < 0 || fstat(from, &st) < 0 || (uint64_t)st.st_blocks * 512 <= CONSOLE_LOG_MAX)
                return;
        whole = st.st_size / st.st_blksize * st.st_blksize;
        if (whole == st.st_size)
                whole -= st.st_blksize;    /* collapsing up to the very end is refused */
        begin = lseek(from, 0, SEEK_DATA); /* behind the hole of an earlier rotation */
        if (begin < 0 || begin >= whole)
                return;
        to = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (to < 0 || copy_range(from, to, begin, whole) < 0 || rename(tmp, old) < 0) {
                log_warning("cannot rotate '%s': %s", path, strerror(errno));
                unlink(tmp);
                return;
        }
        if (fallocate(from, FALLOC_FL_COLLAPSE_RANGE, 0, whole) < 0 &&
            fallocate(from, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, whole) < 0)
                log_warning("cannot shorten '%s': %s", path, strerror(errno));
}
