/* SPDX-License-Identifier: MIT */
#include "job/artifacts.h"

#include "archive/pack.h"
#include "archive/report.h"
#include "base/digest.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nested deeper, folders are refused: each is an open fd. pack.h has the same. */
#define DEPTH_MAX PACK_DEPTH_MAX

/* ---- globs */

struct matcher {
        char **components; /* of the glob */
        char **found;
        size_t n_found;
};

/* Without '.'. Owned; NULL when it cannot be one in the workspace. */
static char **components_of(const char *glob, struct error *err)
{
        autostrv char **parts = strv_split(glob, "/"), **components = NULL;

        for (char **part = parts; *part; part++)
                if (!streq(*part, "."))
                        strv_add(&components, *part);
        if (glob[0] != '/' && components && !strv_contains(components, ".."))
                return take_ptr(components);
        error_set(err, ERR_INVALID, "the artifact '%s' must be a path or glob in the workspace", glob);
        return NULL;
}

/* The entries of `dir`, whose path is `prefix`, that match the component `at`. */
static int match(struct matcher *m, int dir, const char *prefix, size_t at, struct error *err)
{
        autoclose int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *e;
        int r = 0;

        if (!d)
                return error_errno(err, errno, "cannot read the folder '%s' of the workspace", prefix);
        take_fd(&copy);
        while (r == 0 && (e = readdir(d))) {
                autofree char *path = xasprintf("%s%s%s", prefix, *prefix ? "/" : "", e->d_name);
                autoclose int folder = -1;

                if (streq(e->d_name, ".") || streq(e->d_name, "..") || fnmatch(m->components[at], e->d_name, FNM_PERIOD) != 0)
                        continue;
                if (!m->components[at + 1]) {
                        strv_push(&m->found, take_ptr(path));
                        if (++m->n_found > ARTIFACTS_MAX)
                                r = error_set(err, ERR_INVALID, "the artifacts are more than %d files and folders",
                                              ARTIFACTS_MAX);
                        continue;
                }
                folder = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (folder >= 0)
                        r = match(m, folder, path, at + 1, err);
        }
        closedir(d);
        return r;
}

static int compare(const void *a, const void *b)
{
        return pack_order(*(char *const *)a, *(char *const *)b);
}

static bool is_in(const char *path, const char *folder)
{
        size_t n = strlen(folder);

        return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* What stands twice, or in a folder that is there as a whole, goes. */
static void tidy(char **v)
{
        char **to = v;

        qsort(v, strv_length(v), sizeof(*v), compare);
        for (char **from = v; *from; from++)
                if (to > v && is_in(*from, to[-1]))
                        free(*from);
                else
                        *to++ = *from;
        *to = NULL;
}

char **artifacts_match(const char *folder, char *const *globs, bool allow_empty, struct error *err)
{
        autoclose int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct matcher m = {.found = xcalloc(1, sizeof(char *))};
        int r = dir < 0 ? error_errno(err, errno, "cannot read the workspace '%s'", folder) : 0;

        for (; r == 0 && globs && *globs; globs++) {
                size_t before = m.n_found;

                m.components = components_of(*globs, err);
                r = m.components ? match(&m, dir, "", 0, err) : -1;
                strv_free(m.components);
                if (r == 0 && m.n_found == before && !allow_empty)
                        r = error_set(err, ERR_NOT_FOUND, "the artifact '%s' matches nothing in the workspace", *globs);
        }
        if (r < 0) {
                strv_free(m.found);
                return NULL;
        }
        tidy(m.found);
        return m.found;
}

/* ---- what the host verifies */

/* Only '..' at its beginning, and not more of them than there are folders above it: behind a name '..' may be anywhere, when that
 * is a symbolic link, too. */
static bool leads_out(const char *path, const char *target)
{
        autostrv char **components = strv_split(target, "/");
        size_t above = 0, ups = 0;
        bool named = false;

        for (const char *c = path; *c; c++)
                above += *c == '/';
        for (char **c = components; *c; c++) {
                if (streq(*c, "..") && named)
                        return true;
                ups += streq(*c, "..");
                named |= !streq(*c, "..") && !streq(*c, ".");
        }
        return target[0] == '/' || ups > above;
}

static int check_link(int dir, const char *name, const char *path, struct error *err)
{
        char target[PATH_MAX];
        ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

        if (n < 0)
                return error_errno(err, errno, "cannot read the artifact '%s'", path);
        target[n] = '\0';
        if (!leads_out(path, target))
                return 0;
        return error_set(err, ERR_INVALID, "the artifact '%s' is a symbolic link to '%s', out of the workspace", path, target);
}

static int tell_file(int dir, const char *name, const char *path, struct error *err)
{
        autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        autofree char *digest = NULL;
        struct json_object *o, *values;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "cannot read the artifact '%s'", path);
        digest = digest_fd(fd, err);
        if (!digest)
                return error_prefix(err, "cannot read the artifact '%s'", path);
        o = json_new();
        values = json_new();
        json_add_string(values, "name", path);
        json_add_u64(values, "size", (uint64_t)st.st_size);
        json_add_string(values, "sha256", digest);
        json_add(o, "artifact", values);
        report_object(STDERR_FILENO, o);
        return 0;
}

static int tell(int dir, const char *name, const char *path, unsigned depth, struct error *err);

static int tell_folder(int dir, const char *name, const char *path, unsigned depth, struct error *err)
{
        autoclose int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;
        int r = 0;

        if (!d)
                return error_errno(err, errno, "cannot read the artifact '%s'", path);
        take_fd(&fd);
        if (depth == DEPTH_MAX)
                r = error_set(err, ERR_INVALID, "the folders of the artifact '%s' are nested too deeply", path);
        while (r == 0 && (e = readdir(d))) {
                autofree char *below = xasprintf("%s/%s", path, e->d_name);

                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        r = tell(dirfd(d), e->d_name, below, depth + 1, err);
        }
        closedir(d);
        return r;
}

/* What is neither file nor folder nor link has no place in a copy: pack.h leaves it out, and says so. */
static int tell(int dir, const char *name, const char *path, unsigned depth, struct error *err)
{
        struct stat st;

        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_errno(err, errno, "cannot read the artifact '%s'", path);
        if (S_ISLNK(st.st_mode))
                return check_link(dir, name, path, err);
        if (S_ISREG(st.st_mode))
                return tell_file(dir, name, path, err);
        return S_ISDIR(st.st_mode) ? tell_folder(dir, name, path, depth, err) : 0;
}

/* The folder that the path is in, without following a link. */
static int open_parent(int work, const char *path, struct error *err)
{
        autostrv char **components = strv_split(path, "/");
        autoclose int dir = openat(work, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (char **c = components; dir >= 0 && c[0] && c[1]; c++) {
                int next = openat(dir, *c, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

                cleanup_close(&dir);
                dir = next;
        }
        return dir < 0 ? error_errno(err, errno, "cannot read the artifact '%s'", path) : take_fd(&dir);
}

int artifacts_send(const struct job *job, char *const *globs, bool allow_empty, struct error *err)
{
        autostrv char **paths = artifacts_match(job->work, globs, allow_empty, err);
        autoclose int work = open(job->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const struct pack_options options = {.fd = STDOUT_FILENO, .reports = STDERR_FILENO, .paths = paths, .below = job->work};

        if (!paths)
                return -1;
        for (char **path = paths; *path; path++) {
                const char *name = strrchr(*path, '/') ? strrchr(*path, '/') + 1 : *path;
                autoclose int dir = open_parent(work, *path, err);

                if (dir < 0 || tell(dir, name, *path, 0, err) < 0)
                        return -1;
        }
        return pack(&options, err);
}
