/* SPDX-License-Identifier: MIT */
#include "provision/initrd.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define MAGIC       "070701"
#define HEADER_SIZE 110 /* the magic and 13 numbers of 8 hex digits */
#define TRAILER     "TRAILER!!!"
#define BLOCK       512 /* an archive is padded to this, as cpio(1) does: more than the 4 that the kernel needs */

enum field { FIELD_MODE = 1, FIELD_SIZE = 6, FIELD_NAME_SIZE = 11 };

static void pad(struct buf *out, size_t to)
{
        static const char zeros[BLOCK];

        if (buf_size(out) % to)
                buf_append(out, zeros, to - buf_size(out) % to);
}

static void add(struct buf *out, const char *path, unsigned mode, const void *data, size_t n)
{
        /* magic, inode, mode, uid, gid, links, mtime, size, device (2), special device (2), size of the name, checksum */
        buf_printf(out, MAGIC "%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 0, mode, 0, 0, 1, 0, (unsigned)n, 0, 0, 0,
                   0, (unsigned)strlen(path) + 1, 0);
        buf_append(out, path, strlen(path) + 1);
        pad(out, 4);
        buf_append(out, data, n);
        pad(out, 4);
}

void initrd_add(struct buf *out, const char *path, unsigned mode, const void *data, size_t n)
{
        add(out, path, (data ? S_IFREG : S_IFDIR) | mode, data, data ? n : 0);
}

void initrd_end(struct buf *out)
{
        add(out, TRAILER, 0, NULL, 0);
        pad(out, BLOCK);
}

int initrd_load(const char *path, struct buf *ret, struct error *err)
{
        gzFile file = gzopen(path, "rbe");
        int n, state = Z_OK;
        bool large = false;

        if (!file)
                return error_errno(err, errno, "cannot open the initrd '%s'", path);
        while (!large && (n = gzread(file, buf_reserve(ret, 1 << 20), 1 << 20)) > 0) {
                buf_commit(ret, (size_t)n);
                large = buf_size(ret) > INITRD_UNPACKED_MAX;
        }
        gzerror(file, &state);
        gzclose_r(file);
        if (large || (state != Z_OK && state != Z_STREAM_END))
                return error_set(err, ERR_INVALID, "'%s' is not an initrd: it %s", path,
                                 large ? "unpacks to more than an installer has" : "cannot be decompressed");
        return 0;
}

/* One number of a header; -1 when it is none. */
static int64_t number(const char *header, enum field field)
{
        int64_t n = 0;

        for (const char *s = header + 6 + 8 * field, *end = s + 8; s < end; s++) {
                const char *digits = "0123456789abcdef", *digit = *s ? strchr(digits, *s | 0x20) : NULL;

                if (!digit)
                        return -1;
                n = n * 16 + (digit - digits);
        }
        return n;
}

char *initrd_find(const void *data, size_t n, const char *path, struct error *err)
{
        const char *base = data, *found = NULL;
        size_t at = 0, found_size = 0;

        while (at < n) {
                const char *header = base + at, *name = header + HEADER_SIZE;
                int64_t mode, size, name_size;
                size_t content;

                if (*header == '\0') { /* between two archives */
                        at++;
                        continue;
                }
                if (n - at < HEADER_SIZE || memcmp(header, MAGIC, strlen(MAGIC)) != 0)
                        break;
                mode = number(header, FIELD_MODE);
                size = number(header, FIELD_SIZE);
                name_size = number(header, FIELD_NAME_SIZE);
                content = at + HEADER_SIZE + (size_t)MAX(name_size, 0);
                content += -content % 4;
                if (mode < 0 || size < 0 || name_size < 1 || content > n || (uint64_t)size > n - content ||
                    name[name_size - 1] != '\0')
                        break;
                if (streq(name[0] == '.' && name[1] == '/' ? name + 2 : name, path) && S_ISREG((mode_t)mode)) {
                        found = base + content;
                        found_size = (size_t)size;
                }
                at = content + (size_t)size;
                at += -at % 4;
        }
        if (at < n) {
                error_set(err, ERR_INVALID, "the initrd is damaged at byte %zu", at);
                return NULL;
        }
        if (!found)
                error_set(err, ERR_NOT_FOUND, "the initrd has no '%s'", path);
        return found ? xstrndup(found, found_size) : NULL;
}
