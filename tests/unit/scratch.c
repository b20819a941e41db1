/* SPDX-License-Identifier: MIT */
#include "scratch.h"

#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int scratch_setup(void **state)
{
        char *folder = xstrdup("/tmp/initvm-unit.XXXXXX");

        *state = folder;
        return mkdtemp(folder) ? 0 : -1;
}

int scratch_teardown(void **state)
{
        int r = tree_remove(*state, NULL);

        free(*state);
        return r;
}

char *scratch_path(void **state, const char *name)
{
        return xasprintf("%s/%s", (char *)*state, name);
}

char *scratch_file(void **state, const char *name, const void *data, size_t n, unsigned mode)
{
        char *path = scratch_path(state, name);
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0 || fd_write_all(fd, data, n) < 0 || fchmod(fd, (mode_t)mode) < 0)
                abort();
        return path;
}

size_t scratch_open_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        while (readdir(d))
                n++;
        closedir(d);
        return n;
}
