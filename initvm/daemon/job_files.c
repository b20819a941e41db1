/* SPDX-License-Identifier: MIT */
/* What is done with a job's files on the host. All of it blocks, and runs in a worker. */
#include "archive/checksum.h"
#include "archive/compress.h"
#include "base/file.h"
#include "base/util.h"
#include "daemon/job_private.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

static int sync_path(const char *path, struct error *err)
{
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
                return 0;
        return fd >= 0 && fsync(fd) == 0 ? 0 : error_errno(err, errno, "cannot sync '%s'", path);
}

/* The reported files in their order, each of which must come. */
struct expected {
        struct json_object *list;
        size_t next;
};

static int compare(void *userdata, const char *name, uint64_t size, const char *sha256, struct error *err)
{
        struct expected *e = userdata;
        struct json_object *o =
                e->next < json_object_array_length(e->list) ? json_object_array_get_idx(e->list, e->next++) : NULL;
        const char *reported = o ? json_get_string(o, "name", "") : "";

        if (!o || !streq(reported, name))
                return error_set(err, ERR_PROTOCOL, "the VM sent '%s', which it did not report", name);
        if (json_get_u64(o, "size", UINT64_MAX) != size || !streq(json_get_string(o, "sha256", ""), sha256))
                return error_set(err, ERR_PROTOCOL, "'%s' is not what the VM reported: its checksum differs", name);
        return 0;
}

static int verify(const char *path, struct json_object *artifacts, struct error *err)
{
        struct expected e = {.list = artifacts};
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return error_errno(err, errno, "cannot read '%s'", path);
        if (checksum_tar(fd, compare, &e, err) < 0)
                return -1;
        if (e.next != json_object_array_length(artifacts))
                return error_set(err, ERR_PROTOCOL, "not all artifacts that the VM reported have come");
        return fsync(fd) == 0 ? 0 : error_errno(err, errno, "cannot sync '%s'", path);
}

static int seal(const struct job_seal *s, struct error *err)
{
        autofree char *part = xasprintf("%s/" JOB_ARTIFACTS_PART, s->folder), *whole = xasprintf("%s/artifacts.tar", s->folder);
        autofree char *log = xasprintf("%s/log", s->folder), *times = xasprintf("%s/log.times", s->folder);

        if (s->artifacts && verify(part, s->artifacts, err) < 0)
                return -1;
        if (s->artifacts && rename(part, whole) < 0)
                return error_errno(err, errno, "cannot rename '%s'", part);
        if (sync_path(log, err) < 0 || sync_path(times, err) < 0)
                return -1;
        return sync_path(s->folder, err);
}

void job_files_seal(struct job_seal *s)
{
        s->failed = seal(s, &s->err) < 0;
}

int job_files_compress(const char *folder, struct error *err)
{
        autofree char *log = xasprintf("%s/log", folder), *part = xasprintf("%s/log.zst.part", folder);
        autofree char *whole = xasprintf("%s/log.zst", folder);
        autoclose int from = open(log, O_RDONLY | O_CLOEXEC);
        autoclose int to = -1;

        if (from < 0 && errno == ENOENT)
                return 0;
        if (from < 0)
                return error_errno(err, errno, "cannot read '%s'", log);
        to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (to < 0)
                return error_errno(err, errno, "cannot write '%s'", part);
        if (compress_stream(from, to, "zstd", err) < 0) {
                unlink(part);
                return -1;
        }
        if (fsync(to) < 0 || rename(part, whole) < 0 || unlink(log) < 0)
                return error_errno(err, errno, "cannot replace '%s'", log);
        return 0;
}
