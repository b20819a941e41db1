/* SPDX-License-Identifier: MIT */
#include "daemon/job_store.h"

#include "base/file.h"
#include "base/new_folder.h"
#include "base/util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_MAX ((uint64_t)INT64_MAX)

#define REMOVED_PREFIX ".removed-"

static int read_last(struct job_store *s, struct error *err)
{
        autofree char *path = xasprintf("%s/last", s->folder), *text = NULL;

        if (access(path, F_OK) < 0 && errno == ENOENT)
                return 0;
        text = file_read(path, 64, NULL, err);
        if (!text)
                return -1;
        text[strcspn(text, "\n")] = '\0';
        if (parse_u64(text, 0, ID_MAX, &s->last) < 0)
                return error_set(err, ERR_FAILED, "'%s' holds no number; write the highest number of a job into it", path);
        return 0;
}

int job_store_init(struct job_store *s, const char *state, struct error *err)
{
        *s = (struct job_store){.folder = xasprintf("%s/jobs", state)};
        return dir_make(s->folder, 0700, err) < 0 ? -1 : read_last(s, err);
}

void job_store_done(struct job_store *s)
{
        free(take_ptr(s->folder));
}

char *job_store_path(const struct job_store *s, uint64_t id, const char *file)
{
        return xasprintf("%s/%llu%s%s", s->folder, (unsigned long long)id, file ? "/" : "", file ? file : "");
}

static int by_number(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static void load_one(struct job_store *s, uint64_t id, job_store_fn fn, void *userdata)
{
        autofree char *folder = job_store_path(s, id, NULL);
        struct error err = ERROR_INIT;
        struct job_record record;

        if (job_record_load(&record, folder, &err) < 0)
                fn(userdata, NULL, &err);
        else
                fn(userdata, &record, NULL);
}

void job_store_load(struct job_store *s, job_store_fn fn, void *userdata)
{
        DIR *dir = opendir(s->folder);
        autofree uint64_t *ids = NULL;
        struct dirent *e;
        size_t n = 0;
        uint64_t id;

        new_folder_sweep(s->folder);
        while (dir && (e = readdir(dir))) {
                if (str_has_prefix(e->d_name, REMOVED_PREFIX)) {
                        autofree char *path = xasprintf("%s/%s", s->folder, e->d_name);
                        tree_remove(path, NULL);
                }
                if (parse_u64(e->d_name, 1, ID_MAX, &id) == 0) {
                        if ((n & (n - 1)) == 0) /* twice as many each time */
                                ids = xrealloc(ids, n ? 2 * n : 1, sizeof(*ids));
                        ids[n++] = id;
                }
        }
        if (dir)
                closedir(dir);
        if (n > 0)
                qsort(ids, n, sizeof(*ids), by_number);
        for (size_t i = 0; i < n; i++) {
                s->last = MAX(s->last, ids[i]);
                load_one(s, ids[i], fn, userdata);
        }
}

/* What is renamed is there after a crash, too. */
static int sync_folder(const char *path, struct error *err)
{
        autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd >= 0 && fsync(fd) == 0 ? 0 : error_errno(err, errno, "cannot sync '%s'", path);
}

/* The inputs belong to us, are a file, and on the disk. */
static int check_inputs(const char *folder, bool *ret, struct error *err)
{
        autofree char *path = xasprintf("%s/inputs.tar", folder);
        autoclose int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        *ret = fd >= 0;
        if (fd < 0 && errno == ENOENT)
                return 0;
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "cannot read '%s'", path);
        if (!S_ISREG(st.st_mode))
                return error_set(err, ERR_INVALID, "'%s' is not a file", path);
        return fsync(fd) == 0 ? 0 : error_errno(err, errno, "cannot sync '%s'", path);
}

static int check_folder(const char *path, const char *name, struct error *err)
{
        struct stat st;

        if (!new_folder_name_valid(name))
                return error_set(err, ERR_INVALID, "'%s' is not the name of a new job's folder", name);
        if (lstat(path, &st) < 0)
                return error_errno(err, errno, "the new job's folder '%s' is not there", path);
        if (!S_ISDIR(st.st_mode))
                return error_set(err, ERR_INVALID, "'%s' is not a folder", path);
        return 0;
}

/* The number is used up before it is given: a crash may leave out one, and never gives one twice. */
static int next_id(struct job_store *s, struct error *err)
{
        autofree char *path = xasprintf("%s/last", s->folder);
        autofree char *text = xasprintf("%llu\n", (unsigned long long)s->last + 1);

        if (file_write_atomic(path, 0600, text, strlen(text), err) < 0)
                return -1;
        s->last++;
        return 0;
}

int job_store_add(struct job_store *s, const char *name, struct job_record *record, struct error *err)
{
        autofree char *made = NULL, *final = NULL;
        autoclose int lock = -1;

        if (name) {
                made = xasprintf("%s/%s", s->folder, name);
                if (check_folder(made, name, err) < 0)
                        return -1;
        } else {
                lock = new_folder_make(s->folder, &made, err);
                if (lock < 0)
                        return -1;
        }
        if (check_inputs(made, &record->inputs, err) < 0 || next_id(s, err) < 0)
                return -1;
        record->id = s->last;
        final = job_store_path(s, record->id, NULL);
        if (job_record_save(record, made, err) < 0 || sync_folder(made, err) < 0)
                return -1;
        if (rename(made, final) < 0)
                return error_errno(err, errno, "cannot take in the job's folder '%s'", made);
        if (sync_folder(s->folder, err) < 0) { /* it was not accepted, so it is not run either */
                job_store_remove(s, record->id, NULL);
                return -1;
        }
        return 0;
}

static char *removed_path(const struct job_store *s, uint64_t id)
{
        return xasprintf("%s/" REMOVED_PREFIX "%llu", s->folder, (unsigned long long)id);
}

int job_store_remove(const struct job_store *s, uint64_t id, struct error *err)
{
        autofree char *from = job_store_path(s, id, NULL), *to = removed_path(s, id);

        if (rename(from, to) < 0 && errno != ENOENT)
                return error_errno(err, errno, "cannot remove '%s'", from);
        return 0;
}

void job_store_sweep(const struct job_store *s, uint64_t id)
{
        autofree char *folder = removed_path(s, id);

        tree_remove(folder, NULL);
}
