/* SPDX-License-Identifier: MIT */
#include "archive/checksum.h"

#include "archive/tar.h"
#include "base/util.h"

/* What a hole is hashed by. */
static const uint8_t zeros[64 * 1024];

static void add_zeros(struct digest *sum, uint64_t n)
{
        while (n > 0) {
                size_t piece = (size_t)MIN(n, (uint64_t)sizeof(zeros));

                digest_add(sum, zeros, piece);
                n -= piece;
        }
}

static int add_content(struct digest *sum, struct tar_reader *r, uint64_t size, struct error *err)
{
        uint64_t at = 0;
        const void *data;
        int64_t offset;
        size_t n;
        int more;

        while ((more = tar_read_data(r, &data, &n, &offset, err)) > 0) {
                if (offset < 0 || (uint64_t)offset < at || (uint64_t)offset + n > size)
                        return error_set(err, ERR_PROTOCOL, "the archive is broken: content in the wrong place");
                add_zeros(sum, (uint64_t)offset - at);
                digest_add(sum, data, n);
                at = (uint64_t)offset + n;
        }
        add_zeros(sum, size - at);
        return more;
}

static int sum_entry(struct tar_reader *reader, struct archive_entry *entry, checksum_fn fn, void *userdata, struct error *err)
{
        const char *name = archive_entry_pathname(entry);
        int64_t size = archive_entry_size(entry);
        struct digest *sum;
        int r;

        if (!name || archive_entry_hardlink(entry))
                return error_set(err, ERR_PROTOCOL, "the archive holds something that is no file");
        if (archive_entry_filetype(entry) == AE_IFDIR || archive_entry_filetype(entry) == AE_IFLNK)
                return 0;
        if (archive_entry_filetype(entry) != AE_IFREG || size < 0)
                return error_set(err, ERR_PROTOCOL, "the archive holds '%s', which is no file", name);
        autofree char *copy = xstrdup(name); /* the entry's own may go with its content */
        sum = digest_new();
        r = add_content(sum, reader, (uint64_t)size, err);
        autofree char *digits = digest_end(sum);
        if (r < 0)
                return error_prefix(err, "'%s'", copy);
        return fn(userdata, copy, (uint64_t)size, digits, err);
}

int checksum_tar(int fd, checksum_fn fn, void *userdata, struct error *err)
{
        struct archive_entry *entry;
        struct tar_reader r;
        int more;

        tar_reader_init(&r, fd);
        while ((more = tar_read_header(&r, &entry, err)) > 0)
                if (sum_entry(&r, entry, fn, userdata, err) < 0) {
                        more = -1;
                        break;
                }
        tar_reader_done(&r);
        return more;
}
