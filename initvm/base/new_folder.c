/* SPDX-License-Identifier: MIT */
#include "base/new_folder.h"

#include "base/file.h"
#include "base/util.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Another process may take a folder for abandoned between its making and its locking: then there is a next one. */
#define TRIES 8

static bool still_there(int fd, const char *path)
{
        struct stat ours, named;

        return fstat(fd, &ours) == 0 && lstat(path, &named) == 0 && ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

int new_folder_make(const char *parent, char **ret_path, struct error *err)
{
        for (int i = 0; i < TRIES; i++) {
                autofree char *path = xasprintf("%s/" NEW_FOLDER_PREFIX "XXXXXX", parent);
                autoclose int fd = -1;

                if (!mkdtemp(path))
                        return error_errno(err, errno, "cannot make a folder in '%s'", parent);
                fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && still_there(fd, path)) {
                        *ret_path = take_ptr(path);
                        return take_fd(&fd);
                }
        }
        return error_set(err, ERR_FAILED, "cannot keep a new folder in '%s': somebody removes each of them", parent);
}

bool new_folder_name_valid(const char *name)
{
        const char *rest = name + strlen(NEW_FOLDER_PREFIX);

        if (!str_has_prefix(name, NEW_FOLDER_PREFIX) || !*rest)
                return false;
        for (; *rest; rest++)
                if (!isalnum((unsigned char)*rest))
                        return false;
        return true;
}

void new_folder_sweep(const char *parent)
{
        DIR *dir = opendir(parent);
        struct dirent *e;

        while (dir && (e = readdir(dir))) {
                autofree char *path = xasprintf("%s/%s", parent, e->d_name);
                autoclose int fd = -1;

                if (!new_folder_name_valid(e->d_name))
                        continue;
                fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && still_there(fd, path))
                        tree_remove(path, NULL);
        }
        if (dir)
                closedir(dir);
}
