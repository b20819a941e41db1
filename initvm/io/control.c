/* SPDX-License-Identifier: MIT */
#include "io/control.h"

#include "base/file.h"
#include "wire/varlink.h"

#include <errno.h>
#include <unistd.h>

#define READ_SIZE 4096

int control_read_call(int fd, struct json_object **ret, struct error *err)
{
        autobuf struct buf in = {0};

        for (;;) {
                int taken = varlink_take(&in, ret, err);
                ssize_t n;

                if (taken != 0)
                        return taken < 0 ? -1 : 0;
                n = read(fd, buf_reserve(&in, READ_SIZE), READ_SIZE);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_errno(err, errno, "reading the call on fd %d", fd);
                if (n == 0)
                        return error_set(err, ERR_DISCONNECTED, "no call came on fd %d", fd);
                buf_commit(&in, (size_t)n);
        }
}

int control_progress(int fd, struct json_object *owned_parameters)
{
        autobuf struct buf b = {0};

        varlink_write_reply(&b, owned_parameters, true);
        return fd_write_all(fd, buf_head(&b), buf_size(&b));
}

int control_fail(int fd, const struct error *error)
{
        autobuf struct buf b = {0};

        varlink_write_error(&b, error);
        return fd_write_all(fd, buf_head(&b), buf_size(&b));
}
