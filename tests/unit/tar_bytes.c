/* SPDX-License-Identifier: MIT */
#include "tar_bytes.h"

#include "archive/pack.h"
#include "base/file.h"

#include <errno.h>
#include <fts.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCK 512

static void pad(struct buf *tar)
{
        static const char zeros[BLOCK];
        size_t over = buf_size(tar) % BLOCK;

        if (over)
                buf_append(tar, zeros, BLOCK - over);
}

void tar_entry(struct buf *tar, char type, const char *name, const char *link, unsigned mode, uint64_t size)
{
        char h[BLOCK] = {0};
        unsigned sum = 0;

        assert_true(strlen(name) <= 100);
        memcpy(h, name, strlen(name));
        snprintf(h + 100, 8, "%07o", mode);
        memcpy(h + 108, "0000000\0000000000", 16);
        snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
        memcpy(h + 136, "00000000001\0        ", 20);
        h[156] = type;
        if (link)
                memcpy(h + 157, link, strlen(link));
        memcpy(h + 257, "ustar\00000", 8);
        for (size_t i = 0; i < BLOCK; i++)
                sum += (unsigned char)h[i];
        snprintf(h + 148, 8, "%06o", sum);
        buf_append(tar, h, BLOCK);
}

void tar_file(struct buf *tar, const char *name, const char *content)
{
        tar_entry(tar, '0', name, NULL, 0644, strlen(content));
        buf_append(tar, content, strlen(content));
        pad(tar);
}

void tar_pax(struct buf *tar, const char *key, const char *value)
{
        size_t n = strlen(key) + strlen(value) + 3; /* a space, '=' and the end of the line */
        autofree char *record = NULL;

        for (size_t digits = 1; digits < 6; digits++)
                if ((size_t)snprintf(NULL, 0, "%zu", n + digits) == digits) {
                        record = xasprintf("%zu %s=%s\n", n + digits, key, value);
                        break;
                }
        tar_entry(tar, 'x', "header", NULL, 0644, strlen(record));
        buf_append(tar, record, strlen(record));
        pad(tar);
}

void tar_end(struct buf *tar)
{
        static const char zeros[2 * BLOCK];

        buf_append(tar, zeros, sizeof(zeros));
}

int fd_of(const void *data, size_t n)
{
        int fd = memfd_create("tar", MFD_CLOEXEC);

        assert_return_code(fd, errno);
        assert_return_code(fd_write_all(fd, data, n), errno);
        assert_return_code(lseek(fd, 0, SEEK_SET), errno);
        return fd;
}

void pack_bytes(char *const *paths, struct buf *ret)
{
        autoclose int fd = memfd_create("tar", MFD_CLOEXEC);
        const struct pack_options options = {.fd = fd, .reports = STDERR_FILENO, .paths = paths};
        struct error err = ERROR_INIT;
        struct stat st;

        if (pack(&options, &err) < 0)
                fail_msg("%s", err.message);
        assert_return_code(fstat(fd, &st), errno);
        assert_int_equal(pread(fd, buf_reserve(ret, (size_t)st.st_size), (size_t)st.st_size, 0), st.st_size);
        buf_commit(ret, (size_t)st.st_size);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
        return strcmp((*a)->fts_name, (*b)->fts_name);
}

char *names_below(const char *folder)
{
        char *const roots[] = {(char *)folder, NULL};
        FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
        struct buf b = {0};
        FTSENT *e;

        assert_non_null(fts);
        while ((e = fts_read(fts)))
                if (e->fts_level > 0 && e->fts_info != FTS_DP)
                        buf_printf(&b, "%s%s%s", buf_size(&b) ? " " : "", e->fts_path + strlen(folder) + 1,
                                   e->fts_info == FTS_D                                 ? "/"
                                   : e->fts_info == FTS_SL || e->fts_info == FTS_SLNONE ? "@"
                                                                                        : "");
        fts_close(fts);
        return buf_take_string(&b);
}
