/* SPDX-License-Identifier: MIT */
#include "image/file_copy.h"

#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* cp(1) says nothing until it is done: a large image on a slow disk. */
#define COPY_TIMEOUT_S (60 * 60)

char *file_copy_name(const char *path)
{
        return xasprintf("%s.new", path);
}

/* Folders are as good as the file that will be in them. */
static int free_space(const char *path, uint64_t *ret, struct error *err)
{
        autofree char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path) + 1);
        struct statvfs st;

        if (statvfs(folder, &st) < 0)
                return error_errno(err, errno, "cannot look at '%s'", folder);
        *ret = (uint64_t)st.f_bavail * st.f_frsize;
        return 0;
}

int file_check_space(const char *to, uint64_t need, struct error *err)
{
        uint64_t space = 0;

        if (free_space(to, &space, err) < 0)
                return -1;
        if (need > space)
                return error_set(err, ERR_NO_SPACE, "a copy of the image needs %s, and only %s is free for '%s'",
                                 format_size(need), format_size(space), to);
        return 0;
}

static int check_space(int from, const char *to, struct error *err)
{
        struct stat st;

        if (fstat(from, &st) < 0)
                return error_errno(err, errno, "cannot look at the image");
        return file_check_space(to, (uint64_t)st.st_blocks * 512, err);
}

int file_copy(struct run *run, const char *from, const char *to, struct error *err)
{
        autoclose int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
        char *const argv[] = {(char *)"cp", (char *)"--sparse=always", (char *)"--", (char *)from, (char *)to, NULL};
        const struct run_tool tool = {.argv = argv, .timeout = COPY_TIMEOUT_S};

        if (in < 0)
                return error_errno(err, errno, "cannot read '%s'", from);
        run_stage(run, "copy", "copying the image");
        out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (out < 0)
                return error_errno(err, errno, "cannot make '%s'", to);
        if (ioctl(out, FICLONE, in) == 0)
                return 0;
        if (check_space(in, to, err) < 0)
                return -1;
        if (run_tool(run, &tool, err) == 0)
                return 0;
        if (run_tail_find(run, "No space left"))
                return error_set(err, ERR_NO_SPACE, "no space is left for a copy of the image in '%s'", to);
        return err->code == ERR_FAILED ? run_explain(run, err) : -1;
}

int file_replace(const char *from, const char *to, struct error *err)
{
        autoclose int fd = open(from, O_RDONLY | O_CLOEXEC), folder = -1;
        autofree char *folder_path = xstrndup(to, (size_t)(strrchr(to, '/') - to) + 1);
        struct stat st;

        if (fd < 0 || fsync(fd) < 0)
                return error_errno(err, errno, "cannot bring '%s' to the disk", from);
        if (stat(to, &st) == 0 && (fchmod(fd, st.st_mode & 07777) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0))
                return error_errno(err, errno, "cannot make '%s' like '%s'", from, to);
        if (rename(from, to) < 0)
                return error_errno(err, errno, "cannot replace '%s'", to);
        folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return folder >= 0 && fsync(folder) == 0 ? 0 : error_errno(err, errno, "cannot bring '%s' to the disk", folder_path);
}
