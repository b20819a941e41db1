/* SPDX-License-Identifier: MIT */
#include "scratch.h"

#include "base/file.h"
#include "base/process.h"
#include "base/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

char *scratch_output(char *const *argv)
{
        struct buf b = {0};
        int out[2], status = 0;
        ssize_t n;
        pid_t pid;

        if (pipe2(out, O_CLOEXEC) < 0)
                abort();
        const struct process_fd fds[] = {{out[1], 1}, {STDERR_FILENO, 2}};
        const struct process_options options = {.fds = fds, .n_fds = ARRAY_SIZE(fds)};
        if (process_spawn(argv, &options, &pid, NULL) < 0)
                abort();
        close(out[1]);
        while ((n = read(out[0], buf_reserve(&b, 4096), 4096)) > 0)
                buf_commit(&b, (size_t)n);
        close(out[0]);
        if (waitpid(pid, &status, 0) != pid || status != 0)
                abort();
        return buf_take_string(&b);
}
