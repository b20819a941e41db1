/* SPDX-License-Identifier: MIT */
#include "io/run_hook.h"

#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int run_hook_memory(const char *name, struct json_object *o, struct error *err)
{
        autoclose int fd = memfd_create(name, MFD_CLOEXEC);

        return run_hook_write(fd, o, err) < 0 ? -1 : take_fd(&fd);
}

int run_hook_write(int fd, struct json_object *o, struct error *err)
{
        const char *line = json_line(o);

        return fd >= 0 && fd_write_all(fd, line, strlen(line)) == 0
                       ? 0
                       : error_errno(err, errno, "cannot write for the other process");
}

struct json_object *run_hook_read(int fd, struct error *err)
{
        autobuf struct buf b = {0};
        ssize_t n;

        while ((n = pread(fd, buf_reserve(&b, 65536), 65536, (off_t)buf_size(&b))) > 0)
                buf_commit(&b, (size_t)n);
        if (n < 0) {
                error_errno(err, errno, "cannot read what the other process has written");
                return NULL;
        }
        return json_parse((const char *)buf_head(&b), buf_size(&b), err);
}

static void tell(int fd, struct json_object *owned)
{
        autofree char *line = xasprintf("%s\n", json_line(owned));

        if (fd_write_all(fd, line, strlen(line)) < 0)
                _exit(1);
        json_object_put(owned);
}

void run_hook_stage(int fd, const char *stage, const char *text)
{
        struct json_object *o = json_new();

        json_add_string(o, "stage", stage);
        json_add_string(o, "text", text);
        tell(fd, o);
}

void run_hook_error(int fd, const struct error *err)
{
        struct json_object *o = json_new();

        json_add_string(o, "error", error_wire_name(err->code));
        json_add_string(o, "message", err->message);
        tell(fd, o);
}
