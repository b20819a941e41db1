/* SPDX-License-Identifier: MIT */
/*
 * Tar streams through libarchive, as blocking reads and writes of an fd: pax, nothing compressed.  What a
 * stream says is only read here; what may be done with it is decided in unpack.c.
 */
#pragma once

#include "base/error.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stddef.h>

/* Read at once: as much as the pipes hold that such streams come through (agent/exec.c). */
#define TAR_READ_SIZE  ((size_t)256 * 1024)
/* Written at once. Of content that is given in larger pieces than that, whole blocks are not copied. */
#define TAR_WRITE_SIZE ((size_t)64 * 1024)

struct tar_writer {
        struct archive *archive;
        struct archive_entry *entry; /* for the next header; to be filled by the caller */
        int fd;
        int errnum; /* of a write that failed */
};

/* The fd stays the caller's. Names are bytes. */
void tar_writer_init(struct tar_writer *w, int fd);
/* For other programs to read as well: names are text in the locale's encoding, as pax(1) has them, and bytes only where they are
 * none; extended attributes are as tar(1) has them. */
void tar_writer_init_portable(struct tar_writer *w, int fd);
void tar_writer_done(struct tar_writer *w);

/* Writes w->entry. */
int tar_write_header(struct tar_writer *w, struct error *err);
/* Content of that entry: for a sparse one all of it, holes as well. More than the entry's size is an error of the caller's. */
int tar_write_data(struct tar_writer *w, const void *data, size_t n, struct error *err);
/* The end of the archive, without which a reader takes it for broken off. */
int tar_write_end(struct tar_writer *w, struct error *err);

struct tar_reader {
        struct archive *archive;
        int fd;
        int errnum; /* of a read that failed */
        bool open;
        bool ended; /* the fd is at its end */
        void *block;
};

void tar_reader_init(struct tar_reader *r, int fd);
void tar_reader_done(struct tar_reader *r);

/* 1 with the next entry (borrowed until the next call), 0 at the end of the archive, which must be marked as such, -1:
 * ERR_DISCONNECTED when the stream breaks off, else ERR_PROTOCOL. */
int tar_read_header(struct tar_reader *r, struct archive_entry **ret, struct error *err);
/* The same for the next piece of its content: data (borrowed) that belongs at *ret_offset. Between pieces are holes. */
int tar_read_data(struct tar_reader *r, const void **ret, size_t *ret_size, int64_t *ret_offset, struct error *err);
