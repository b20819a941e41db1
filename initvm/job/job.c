/* SPDX-License-Identifier: MIT */
#include "job/job.h"

#include "base/boot_id.h"
#include "base/file.h"
#include "chroot/store.h"
#include "job/spec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_DIGITS 18

/* ---- all of them */

int jobs_open(struct jobs *jobs, const char *state, const char *runtime, struct error *err)
{
        *jobs = (struct jobs){.folder = xasprintf("%s/jobs", state),
                              .state = xstrdup(state),
                              .runtime = xstrdup(runtime),
                              .cgroup = xstrdup(JOBS_CGROUP)};
        if (geteuid() != 0)
                return error_set(err, ERR_DENIED, "jobs belong to root of the VM: run this as root");
        return dir_make(jobs->folder, 0755, err);
}

void jobs_done(struct jobs *jobs)
{
        free(jobs->folder);
        free(jobs->state);
        free(jobs->runtime);
        free(jobs->cgroup);
        *jobs = (struct jobs){0};
}

static bool id_is_good(const char *id)
{
        size_t n = strlen(id);

        return n > 0 && n <= ID_DIGITS && strspn(id, "0123456789") == n && (n == 1 || id[0] != '0');
}

static int is_job(const struct dirent *d)
{
        return id_is_good(d->d_name);
}

static int compare(const struct dirent **a, const struct dirent **b)
{
        return strverscmp((*a)->d_name, (*b)->d_name);
}

char **jobs_ids(const struct jobs *jobs)
{
        char **ids = xcalloc(1, sizeof(*ids));
        struct dirent **found = NULL;
        int n = scandir(jobs->folder, &found, is_job, compare);

        for (int i = 0; i < n; i++) {
                strv_add(&ids, found[i]->d_name);
                free(found[i]);
        }
        free(found);
        return ids;
}

/* ---- one */

static bool token_is_good(const char *token)
{
        return strlen(token) == JOB_TOKEN_DIGITS && strspn(token, "0123456789abcdef") == JOB_TOKEN_DIGITS;
}

int job_find(const struct jobs *jobs, const char *id, const char *token, struct job *ret, struct error *err)
{
        autojson struct json_object *spec = NULL;
        const char *found;

        if (!id_is_good(id))
                return error_set(err, ERR_INVALID, "'%s' is not a job's id: a decimal number", id);
        if (token && !token_is_good(token))
                return error_set(err, ERR_INVALID, "'%s' is not a job's token: %d hexadecimal digits", token, JOB_TOKEN_DIGITS);
        *ret = (struct job){.jobs = jobs,
                            .id = xstrdup(id),
                            .folder = xasprintf("%s/%s", jobs->folder, id),
                            .work = xasprintf("%s/%s/work", jobs->folder, id),
                            .unit = xasprintf("initvm-job-%s.service", id),
                            .cgroup = xasprintf("%s/initvm.slice/initvm-jobs.slice/initvm-job-%s.service", jobs->cgroup, id)};
        spec = job_read(ret, JOB_SPEC, NULL);
        found = spec ? json_get_string(spec, "token", NULL) : NULL;
        ret->token = found ? xstrdup(found) : NULL;
        ret->boot = xstrdup(spec ? json_get_string(spec, "boot", "") : "");
        return 0;
}

int job_find_by_words(int argc, char **argv, struct jobs *jobs, struct job *ret, struct error *err)
{
        bool named = argc == 4;

        if (argc != 2 && !named)
                return error_set(err, ERR_INVALID, "'%s' wants a job's id", argv[0]);
        if (jobs_open(jobs, named ? argv[2] : STORE_STATE, named ? argv[3] : STORE_RUNTIME, err) < 0 ||
            job_find(jobs, argv[1], NULL, ret, err) < 0)
                return -1;
        return ret->token ? 0 : error_set(err, ERR_NOT_FOUND, "there is no job %s", argv[1]);
}

void job_done(struct job *job)
{
        free(job->id);
        free(job->token);
        free(job->boot);
        free(job->folder);
        free(job->work);
        free(job->unit);
        free(job->cgroup);
        *job = (struct job)JOB_INIT;
}

bool job_is(const struct job *job, const char *token)
{
        return streq(job->token, token);
}

/* In this order: each of them is there only after the one before. */
enum job_state job_state(const struct job *job)
{
        autofree char *boot = boot_id();

        if (!job->token || access(job->folder, F_OK) < 0)
                return JOB_ABSENT;
        if (job_has(job, JOB_RESULT))
                return JOB_ENDED;
        if (access(job->cgroup, F_OK) == 0)
                return JOB_RUNNING;
        if (job_has(job, JOB_RESULT)) /* it has just ended */
                return JOB_ENDED;
        if (job_has(job, JOB_STARTED))
                return JOB_LOST;
        return streq(job->boot, boot) ? JOB_CREATED : JOB_ABSENT;
}

const char *job_state_name(enum job_state state)
{
        static const char *const names[] = {"absent", "created", "running", "ended", "lost"};

        return names[state];
}

char *job_path(const struct job *job, const char *name)
{
        return xasprintf("%s/%s", job->folder, name);
}

bool job_has(const struct job *job, const char *name)
{
        autofree char *path = job_path(job, name);

        return access(path, F_OK) == 0;
}

struct json_object *job_read(const struct job *job, const char *name, struct error *err)
{
        autofree char *path = job_path(job, name);

        return json_parse_file(path, err);
}

/* ---- files with room of their own */

static char *reserved_path(const char *folder, const char *name)
{
        return xasprintf("%s/.%s.new", folder, name);
}

int job_reserve(const char *folder, const char *name, struct error *err)
{
        autofree char *path = reserved_path(folder, name);
        autoclose int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0 || (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, JOB_FILE_ROOM) < 0 && errno != EOPNOTSUPP))
                return error_errno(err, errno, "cannot make '%s'", path);
        return 0;
}

int job_write(const struct job *job, const char *name, struct json_object *owned, bool final, struct error *err)
{
        autojson struct json_object *o = owned;
        autofree char *reserved = reserved_path(job->folder, name), *path = job_path(job, name);
        autoclose int fd = open(reserved, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        const char *line = json_line(o);
        size_t n = strlen(line);

        /* Not truncated first: the room would be given back. */
        if (fd < 0 || fd_write_at(fd, line, n, 0) < 0 || ftruncate(fd, (off_t)n) < 0 || (final && fsync(fd) < 0))
                return error_errno(err, errno, "cannot write '%s'", path);
        if (renameat2(AT_FDCWD, reserved, AT_FDCWD, path, final ? RENAME_NOREPLACE : 0) < 0 && !(final && errno == EEXIST))
                return error_errno(err, errno, "cannot write '%s'", path);
        return 0;
}

/* ---- the end */

int job_remove(const struct job *job, struct error *err)
{
        autofree char *hidden = xasprintf("%s/" JOB_HIDDEN "XXXXXX", job->jobs->folder);

        if (!mkdtemp(hidden))
                return error_errno(err, errno, "cannot remove job %s", job->id);
        if (rename(job->folder, hidden) < 0) {
                bool gone = errno == ENOENT; /* somebody else has */

                if (!gone)
                        error_errno(err, errno, "cannot remove job %s", job->id);
                rmdir(hidden);
                return gone ? 0 : -1;
        }
        return tree_remove(hidden, err);
}
