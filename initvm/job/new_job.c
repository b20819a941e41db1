/* SPDX-License-Identifier: MIT */
#include "job/new_job.h"

#include "archive/unpack.h"
#include "base/boot_id.h"
#include "base/file.h"
#include "base/project.h"
#include "job/log.h"
#include "job/spec.h"
#include "job/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The projects of jobs: a range of their own, in which those of jobs that are there at the same time differ. */
#define PROJECT_FIRST 0x49000000u
#define PROJECTS      (1u << 24)

struct making {
        char *folder;
        int lock; /* on the folder */
};
#define MAKING_INIT                                                                                                              \
        {                                                                                                                        \
                .lock = -1                                                                                                       \
        }
#define automaking __attribute__((cleanup(making_done)))

static void making_done(struct making *m)
{
        if (m->folder)
                tree_remove(m->folder, NULL);
        cleanup_close(&m->lock);
        free(m->folder);
        *m = (struct making)MAKING_INIT;
}

/* Between its making and its lock another maker may take it for left over. Then it is gone, and the next try makes another. */
#define TRIES 10

static int make_folder(const struct jobs *jobs, struct making *m, struct error *err)
{
        for (int i = 0; i < TRIES; i++) {
                struct stat opened, there;

                making_done(m);
                m->folder = xasprintf("%s/" JOB_HIDDEN "XXXXXX", jobs->folder);
                if (!mkdtemp(m->folder)) {
                        error_errno(err, errno, "cannot make a folder in '%s'", jobs->folder);
                        cleanup_free(&m->folder);
                        m->folder = NULL;
                        return -1;
                }
                m->lock = open(m->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (m->lock >= 0 && flock(m->lock, LOCK_EX | LOCK_NB) == 0 && fstat(m->lock, &opened) == 0 &&
                    lstat(m->folder, &there) == 0 && opened.st_ino == there.st_ino)
                        return 0;
        }
        return error_set(err, ERR_FAILED, "cannot make a folder in '%s': somebody else removes it each time", jobs->folder);
}

/* Byte by byte: what follows belongs to the archive's reader. */
static char *read_line(int stream, struct error *err)
{
        autobuf struct buf line = {0};
        char c;

        for (;;) {
                ssize_t n = read(stream, &c, 1);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        error_set(err, ERR_DISCONNECTED, "the job's description broke off before its end");
                        return NULL;
                }
                if (c == '\n')
                        return buf_take_string(&line);
                if (buf_size(&line) == SPEC_SIZE_MAX) {
                        error_set(err, ERR_INVALID, "the job's description is longer than %s", format_size(SPEC_SIZE_MAX));
                        return NULL;
                }
                buf_append(&line, &c, 1);
        }
}

static int write_file(const struct making *m, const char *name, mode_t mode, const char *text, struct error *err)
{
        autofree char *path = xasprintf("%s/%s", m->folder, name);
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

        if (fd < 0 || fchmod(fd, mode) < 0 || fd_write_all(fd, text, strlen(text)) < 0)
                return error_errno(err, errno, "cannot write '%s'", path);
        return 0;
}

static int write_files(const struct making *m, const struct spec *spec, const char *token, struct error *err)
{
        autofree char *boot = boot_id();

        json_add_string(spec->json, "token", token);
        json_add_string(spec->json, "boot", boot);
        if (write_file(m, JOB_LOG, 0600, "", err) < 0 || write_file(m, JOB_TIMES, 0600, "", err) < 0 ||
            (spec->script && write_file(m, JOB_SCRIPT, 0755, spec->script, err) < 0) ||
            job_reserve(m->folder, JOB_STARTED, err) < 0 || job_reserve(m->folder, JOB_OUTCOME, err) < 0 ||
            job_reserve(m->folder, JOB_RESULT, err) < 0)
                return -1;
        return write_file(m, JOB_SPEC, 0600, json_line(spec->json), err);
}

/* What the job takes on the disk is counted where the filesystem can do that, and limited if that is wanted. */
static int take_project(const char *work, const struct spec *spec, const struct job *job, struct error *err)
{
        uint32_t project = PROJECT_FIRST + (uint32_t)(strtoull(job->id, NULL, 10) % PROJECTS);

        if (project_assign(work, project, err) < 0 || project_limit(work, project, spec->disk, err) < 0)
                return spec->disk ? -1 : 0;
        return 0;
}

static int unpack_inputs(const struct making *m, const struct spec *spec, const struct job *job, int stream, struct error *err)
{
        autofree char *work = xasprintf("%s/work", m->folder);
        const struct unpack_options options = {.fd = stream, .target = work, .into = true};

        if (mkdir(work, 0755) < 0 || chmod(work, 0755) < 0)
                return error_errno(err, errno, "cannot make the folder '%s'", work);
        if (take_project(work, spec, job, err) < 0)
                return -1;
        return spec->inputs ? unpack(&options, err) : 0;
}

static int give_name(struct making *m, const struct job *job, struct error *err)
{
        if (fchmod(m->lock, 0755) < 0)
                return error_errno(err, errno, "cannot make job %s", job->id);
        if (renameat2(AT_FDCWD, m->folder, AT_FDCWD, job->folder, RENAME_NOREPLACE) < 0) {
                if (errno == EEXIST)
                        return error_set(err, ERR_EXISTS, "somebody else has made job %s meanwhile", job->id);
                return error_errno(err, errno, "cannot make job %s", job->id);
        }
        cleanup_free(&m->folder);
        m->folder = NULL;
        return 0;
}

int new_job(const struct jobs *jobs, const char *id, const char *token, int stream, struct error *err)
{
        automaking struct making m = MAKING_INIT;
        autospec struct spec spec = {0};
        autojob struct job job = JOB_INIT;
        autofree char *line = NULL;

        if (job_find(jobs, id, token, &job, err) < 0)
                return -1;
        if (job_is(&job, token) && job_state(&job) != JOB_ABSENT)
                return 0;
        line = read_line(stream, err);
        if (!line || spec_read(json_parse(line, strlen(line), err), &spec, err) < 0)
                return -1;
        if (make_folder(jobs, &m, err) < 0 || unpack_inputs(&m, &spec, &job, stream, err) < 0 ||
            write_files(&m, &spec, token, err) < 0)
                return -1;
        if (access(job.folder, F_OK) == 0 && (unit_stop(&job, err) < 0 || job_remove(&job, err) < 0))
                return -1;
        return give_name(&m, &job, err);
}

/* ---- what was left */

static int is_hidden(const struct dirent *d)
{
        return str_has_prefix(d->d_name, JOB_HIDDEN);
}

void new_jobs_remove_left(const struct jobs *jobs)
{
        struct dirent **found = NULL;
        int n = scandir(jobs->folder, &found, is_hidden, NULL);

        for (int i = 0; i < n; i++) {
                autofree char *path = xasprintf("%s/%s", jobs->folder, found[i]->d_name);
                autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
                        tree_remove(path, NULL); /* what is left of it is tried again */
                free(found[i]);
        }
        free(found);
}
