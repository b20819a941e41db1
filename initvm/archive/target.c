/* SPDX-License-Identifier: MIT */
#include "archive/target.h"

#include "archive/name.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void target_done(struct target *t)
{
        cleanup_close(&t->folder);
        free(t->path);
        free(t->name);
        *t = (struct target)TARGET_INIT;
}

static int open_folder(const char *path)
{
        return open(*path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The path of something that is not a folder, in two: the folder that it is in, and its name. */
static int split(const char *path, struct target *t, struct error *err)
{
        size_t end = strlen(path), name;

        while (end > 1 && path[end - 1] == '/')
                end--;
        for (name = end; name > 0 && path[name - 1] != '/';)
                name--;
        t->only_folder = path[end] == '/';
        t->name = xstrndup(path + name, end - name);
        t->path = xstrndup(path, name > 1 ? name - 1 : name);
        t->folder = open_folder(t->path);
        if (t->folder < 0)
                return error_errno(err, errno, "cannot copy into the folder '%s'", t->path);
        return 0;
}

static int find(const char *path, struct target *t, struct error *err)
{
        autofree char *file = NULL;
        struct stat st;

        if (stat(*path ? path : ".", &st) == 0) {
                if (S_ISDIR(st.st_mode)) {
                        t->path = xstrdup(path);
                        t->folder = open_folder(path);
                        return t->folder < 0 ? error_errno(err, errno, "cannot copy into the folder '%s'", path) : 0;
                }
                if (!S_ISREG(st.st_mode))
                        return error_set(err, ERR_INVALID, "cannot copy to '%s': it is neither a file nor a folder", path);
                file = realpath(path, NULL);
                if (!file)
                        return error_errno(err, errno, "cannot copy to '%s'", path);
                return split(file, t, err);
        }
        if (errno != ENOENT)
                return error_errno(err, errno, "cannot copy to '%s'", path);
        if (lstat(path, &st) == 0)
                return error_set(err, ERR_INVALID, "cannot copy to '%s': it is a symbolic link to something that is not there",
                                 path);
        return split(path, t, err);
}

int target_find(const char *path, struct target *ret, struct error *err)
{
        autotarget struct target t = TARGET_INIT;

        if (find(path, &t, err) < 0)
                return -1;
        *ret = t;
        t = (struct target)TARGET_INIT;
        return 0;
}

/* ---- files */

static void choose_name(struct new_file *f, int folder)
{
        uint64_t number;

        if (!*f->name) {
                random_bytes(&number, sizeof(number));
                snprintf(f->name, sizeof(f->name), ".initvm-%016" PRIx64, number);
        }
        f->folder = folder;
}

int new_file_begin(struct new_file *f, int folder, mode_t mode)
{
        choose_name(f, folder);
        f->fd = openat(folder, f->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (f->fd < 0)
                f->folder = -1;
        return f->fd < 0 ? -1 : 0;
}

int new_file_symlink(struct new_file *f, int folder, const char *content)
{
        choose_name(f, folder);
        if (symlinkat(content, folder, f->name) == 0)
                return 0;
        f->folder = -1;
        return -1;
}

int new_file_finish(struct new_file *f, const char *name)
{
        /* Some filesystems tell only here that there was no room: close(2). */
        if (f->fd >= 0 && close(take_fd(&f->fd)) < 0)
                return -1;
        if (renameat(f->folder, f->name, f->folder, name) < 0)
                return -1;
        f->folder = -1;
        return 0;
}

void new_file_abandon(struct new_file *f)
{
        if (f->fd >= 0)
                close(take_fd(&f->fd));
        if (f->folder >= 0)
                unlinkat(f->folder, f->name, 0);
        f->folder = -1;
}
