/* SPDX-License-Identifier: MIT */
#include "cli/job_fetch.h"

#include "archive/unpack.h"
#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char *job_output_default(void)
{
        time_t now = time(NULL);
        char text[32] = "";
        struct tm tm;

        localtime_r(&now, &tm);
        strftime(text, sizeof(text), "%Y%m%d-%H%M%S", &tm);
        return xasprintf("./initvm-build-%s", text);
}

int job_output_check(const char *folder, struct error *err)
{
        struct stat st;

        if (stat(folder, &st) < 0)
                return errno == ENOENT ? 0 : error_errno(err, errno, "cannot use '%s' for the artifacts", folder);
        if (!S_ISDIR(st.st_mode))
                return error_set(err, ERR_EXISTS, "'%s' is in the way: the artifacts go into a folder", folder);
        return access(folder, W_OK | X_OK) == 0 ? 0 : error_errno(err, errno, "cannot write into '%s'", folder);
}

int job_fetch(struct json_object *job, const char *folder, struct error *err)
{
        autofree char *path = xasprintf("%s/artifacts.tar", json_get_string(job, "folder", ""));
        struct unpack_options options = {.target = folder, .into = true};
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
        mode_t mask;
        int r;

        if (fd < 0 && errno == ENOENT)
                return error_set(err, ERR_NOT_FOUND, "job %llu has no artifacts here",
                                 (unsigned long long)json_get_u64(job, "id", 0));
        if (fd < 0)
                return error_errno(err, errno, "cannot read '%s'", path);
        if (job_output_check(folder, err) < 0 || dir_make(folder, 0777, err) < 0)
                return -1;
        options.fd = fd;
        mask = umask(0); /* modes are the archive's */
        r = unpack(&options, err);
        umask(mask);
        return r;
}
