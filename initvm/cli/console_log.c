/* SPDX-License-Identifier: MIT */
#include "cli/console_log.h"

#include "base/file.h"
#include "cli/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int print_file(const char *path, struct error *err)
{
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        char data[16384];
        ssize_t n;

        if (fd < 0 && errno == ENOENT)
                return 0;
        if (fd < 0)
                return error_errno(err, errno, "cannot read '%s'", path);
        fflush(stdout);
        if (lseek(fd, 0, SEEK_DATA) < 0) /* a rotation may have left a hole at the beginning */
                lseek(fd, 0, SEEK_SET);
        while ((n = read(fd, data, sizeof(data))) > 0)
                if (fd_write_all(STDOUT_FILENO, data, (size_t)n) < 0)
                        return error_errno(err, errno, "cannot write to standard output");
        if (n < 0)
                return error_errno(err, errno, "cannot read '%s'", path);
        return 1;
}

int console_log_print(struct client *c, const struct invocation *inv, struct error *err)
{
        autojson struct json_object *vm = NULL;
        autofree char *rotated = NULL;
        const char *path;
        int older, newer;

        if (vm_status(c, inv, &vm, err) < 0)
                return -1;
        path = json_get_string(vm, "consoleLog", NULL);
        if (!path)
                return error_set(err, ERR_PROTOCOL, "the daemon does not say where the console's log is");
        rotated = xasprintf("%s.1", path);
        older = print_file(rotated, err);
        newer = older < 0 ? -1 : print_file(path, err);
        if (newer < 0)
                return -1;
        if (older == 0 && newer == 0)
                fprintf(stderr, "the console of '%s' has recorded nothing yet; 'initvm start' boots it\n", inv->name);
        return 0;
}
