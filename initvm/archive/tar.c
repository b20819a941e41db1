/* SPDX-License-Identifier: MIT */
#include "archive/tar.h"

#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- writing */

static la_ssize_t on_write(struct archive *archive, void *userdata, const void *data, size_t n)
{
        struct tar_writer *w = userdata;
        ssize_t done;

        do
                done = write(w->fd, data, n);
        while (done < 0 && errno == EINTR);
        if (done < 0) {
                w->errnum = errno;
                archive_set_error(archive, errno, "write");
        }
        return done;
}

/* libarchive fails here only when there is no memory. */
static void must(int r)
{
        if (r != ARCHIVE_OK)
                abort();
}

static void writer_init(struct tar_writer *w, int fd, const char *option, const char *value)
{
        *w = (struct tar_writer){.archive = archive_write_new(), .entry = archive_entry_new(), .fd = fd};
        if (!w->archive || !w->entry)
                abort();
        must(archive_write_set_format_pax(w->archive));
        must(archive_write_set_format_option(w->archive, "pax", option, value));
        must(archive_write_set_bytes_per_block(w->archive, (int)TAR_WRITE_SIZE));
        must(archive_write_set_bytes_in_last_block(w->archive, 1)); /* no padding behind the end */
        must(archive_write_open(w->archive, w, NULL, on_write, NULL));
}

void tar_writer_init(struct tar_writer *w, int fd)
{
        writer_init(w, fd, "hdrcharset", "BINARY");
}

void tar_writer_init_portable(struct tar_writer *w, int fd)
{
        writer_init(w, fd, "xattrheader", "SCHILY");
}

/* Freeing an archive closes it first, and closing writes an end: whoever fails must not seem complete. */
void tar_writer_done(struct tar_writer *w)
{
        archive_write_fail(w->archive);
        archive_write_free(w->archive);
        archive_entry_free(w->entry);
}

static int write_failed(struct tar_writer *w, struct error *err)
{
        if (w->errnum == EPIPE)
                return error_set(err, ERR_DISCONNECTED, "the other side has ended");
        if (w->errnum)
                return error_errno(err, w->errnum, "cannot write the archive");
        return error_set(err, ERR_FAILED, "cannot archive '%s': %s", archive_entry_pathname(w->entry),
                         archive_error_string(w->archive));
}

int tar_write_header(struct tar_writer *w, struct error *err)
{
        return archive_write_header(w->archive, w->entry) == ARCHIVE_OK ? 0 : write_failed(w, err);
}

int tar_write_data(struct tar_writer *w, const void *data, size_t n, struct error *err)
{
        for (const uint8_t *at = data, *end = at + n; at < end;) {
                la_ssize_t done = archive_write_data(w->archive, at, (size_t)(end - at));

                if (done <= 0)
                        return write_failed(w, err);
                at += done;
        }
        return 0;
}

int tar_write_end(struct tar_writer *w, struct error *err)
{
        return archive_write_close(w->archive) == ARCHIVE_OK ? 0 : write_failed(w, err);
}

/* ---- reading */

static la_ssize_t on_read(struct archive *archive, void *userdata, const void **ret)
{
        struct tar_reader *r = userdata;
        ssize_t n;

        do
                n = read(r->fd, r->block, TAR_READ_SIZE);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                r->errnum = errno;
                archive_set_error(archive, errno, "read");
        }
        r->ended |= n == 0;
        *ret = r->block;
        return n;
}

void tar_reader_init(struct tar_reader *r, int fd)
{
        *r = (struct tar_reader){.archive = archive_read_new(), .fd = fd, .block = xcalloc(1, TAR_READ_SIZE)};
        if (!r->archive)
                abort();
        must(archive_read_support_format_tar(r->archive));
}

void tar_reader_done(struct tar_reader *r)
{
        archive_read_free(r->archive);
        free(r->block);
}

static int read_failed(struct tar_reader *r, struct error *err)
{
        const char *text = archive_error_string(r->archive);

        if (r->errnum)
                return error_errno(err, r->errnum, "cannot read the archive");
        if (r->ended)
                return error_set(err, ERR_DISCONNECTED, "the copy broke off before its end");
        return error_set(err, ERR_PROTOCOL, "what came is no tar archive that can be read: %s", text ? text : "unknown error");
}

int tar_read_header(struct tar_reader *r, struct archive_entry **ret, struct error *err)
{
        int status;

        /* Opening reads the first block, to see what it is. */
        if (!r->open && archive_read_open(r->archive, r, NULL, on_read, NULL) != ARCHIVE_OK)
                return read_failed(r, err);
        r->open = true;
        status = archive_read_next_header(r->archive, ret);
        if (status == ARCHIVE_OK)
                return 1;
        if (status != ARCHIVE_EOF)
                return read_failed(r, err);
        /* libarchive takes an end without the two blocks of zeros that mark it for an end as well. */
        if (archive_filter_bytes(r->archive, 0) == archive_read_header_position(r->archive))
                return read_failed(r, err);
        return 0;
}

int tar_read_data(struct tar_reader *r, const void **ret, size_t *ret_size, int64_t *ret_offset, struct error *err)
{
        switch (archive_read_data_block(r->archive, ret, ret_size, ret_offset)) {
        case ARCHIVE_OK:
                return 1;
        case ARCHIVE_EOF:
                return 0;
        default:
                return read_failed(r, err);
        }
}
