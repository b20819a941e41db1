/* SPDX-License-Identifier: MIT */
#include "archive/compress.h"

#include "archive/tar.h"
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK ((size_t)256 * 1024)

const char *compress_method(const char *name)
{
        static const struct {
                const char *suffix, *method;
        } methods[] = {{".tar.zst", "zstd"}, {".tar.xz", "xz"}, {".tar.gz", "gzip"}, {".tgz", "gzip"}, {".tar", ""}};

        for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
                if (str_has_suffix(name, methods[i].suffix))
                        return methods[i].method;
        return NULL;
}

static int write_failed(struct archive *a, struct error *err)
{
        return error_set(err, archive_errno(a) == ENOSPC ? ERR_NO_SPACE : ERR_FAILED, "cannot write the archive: %s",
                         archive_error_string(a));
}

static int copy_compressed(struct archive *a, int from, char *block, struct error *err)
{
        ssize_t n;

        while ((n = read(from, block, BLOCK)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_errno(err, errno, "cannot read what is to be compressed");
                for (ssize_t done = 0; done < n;) {
                        la_ssize_t r = archive_write_data(a, block + done, (size_t)(n - done));

                        if (r <= 0)
                                return write_failed(a, err);
                        done += r;
                }
        }
        return archive_write_close(a) == ARCHIVE_OK ? 0 : write_failed(a, err);
}

int compress_stream(int from, int to, const char *method, struct error *err)
{
        autofree char *block = xcalloc(1, BLOCK);
        struct archive *a = archive_write_new();
        struct archive_entry *entry = archive_entry_new();
        int r;

        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_pathname(entry, "data");
        if ((*method && archive_write_add_filter_by_name(a, method) != ARCHIVE_OK) ||
            archive_write_set_format_raw(a) != ARCHIVE_OK || archive_write_open_fd(a, to) != ARCHIVE_OK ||
            archive_write_header(a, entry) != ARCHIVE_OK)
                r = write_failed(a, err);
        else
                r = copy_compressed(a, from, block, err);
        archive_entry_free(entry);
        if (r < 0)
                archive_write_fail(a);
        archive_write_free(a);
        return r;
}

static int copy_plain(struct archive *a, int to, char *block, struct error *err)
{
        struct archive_entry *entry;
        int status = archive_read_next_header(a, &entry);
        la_ssize_t n;

        if (status == ARCHIVE_EOF)
                return 0;
        if (status != ARCHIVE_OK)
                return error_set(err, ERR_PROTOCOL, "the archive is broken: %s", archive_error_string(a));
        while ((n = archive_read_data(a, block, BLOCK)) > 0)
                if (fd_write_all(to, block, (size_t)n) < 0)
                        return errno == EPIPE ? error_set(err, ERR_DISCONNECTED, "the other side has ended")
                                              : error_errno(err, errno, "cannot pass the archive on");
        return n < 0 ? error_set(err, ERR_PROTOCOL, "the archive is broken: %s", archive_error_string(a)) : 0;
}

int decompress_stream(int from, int to, struct error *err)
{
        autofree char *block = xcalloc(1, BLOCK);
        struct archive *a = archive_read_new();
        int r;

        archive_read_support_filter_all(a);
        archive_read_support_format_raw(a);
        archive_read_support_format_empty(a);
        if (archive_read_open_fd(a, from, BLOCK) != ARCHIVE_OK)
                r = error_set(err, ERR_PROTOCOL, "the archive is broken: %s", archive_error_string(a));
        else
                r = copy_plain(a, to, block, err);
        archive_read_free(a);
        return r;
}
