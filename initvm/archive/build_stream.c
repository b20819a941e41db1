/* SPDX-License-Identifier: MIT */
#include "archive/build_stream.h"

#include "archive/rootfs.h"
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define DIGITS 10

int build_stream_write(const char *text, const char *context, int fd, struct error *err)
{
        autofree char *head = xasprintf("%0*zu%s", DIGITS, strlen(text), text);

        if (fd_write_all(fd, head, strlen(head)) < 0)
                return error_set(err, ERR_DISCONNECTED, "nobody reads the Dockerfile");
        return rootfs_pack(context, fd, err);
}

static int read_all(int fd, char *data, size_t n, struct error *err)
{
        while (n > 0) {
                ssize_t got = read(fd, data, n);

                if (got == 0 || (got < 0 && errno != EINTR))
                        return error_set(err, ERR_PROTOCOL, "the Dockerfile is incomplete");
                if (got > 0) {
                        data += got;
                        n -= (size_t)got;
                }
        }
        return 0;
}

char *build_stream_read(int fd, struct error *err)
{
        char digits[DIGITS + 1] = "";
        autofree char *text = NULL;
        uint64_t length;

        if (read_all(fd, digits, DIGITS, err) < 0)
                return NULL;
        if (parse_u64(digits + strspn(digits, "0"), 1, BUILD_DOCKERFILE_MAX, &length) < 0) {
                error_set(err, ERR_INVALID, "the Dockerfile is empty, or longer than %s", format_size(BUILD_DOCKERFILE_MAX));
                return NULL;
        }
        text = xcalloc(1, length + 1);
        if (read_all(fd, text, length, err) < 0)
                return NULL;
        if (strlen(text) != length) {
                error_set(err, ERR_INVALID, "the Dockerfile is no text");
                return NULL;
        }
        return take_ptr(text);
}
