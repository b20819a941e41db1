/* SPDX-License-Identifier: MIT */
#include "cli/submit_inputs.h"

#include "archive/pack.h"
#include "archive/report.h"
#include "base/file.h"
#include "base/new_folder.h"
#include "base/util.h"
#include "cli/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void on_warning(void *userdata, const char *text)
{
        autobuf struct buf b = {0};
        autofree char *safe = NULL;

        (void)userdata;
        text_append_safe(&b, text, false);
        safe = buf_take_string(&b);
        fprintf(stderr, "initvm: warning: %s\n", safe);
}

static void tell_warnings(int fd)
{
        struct report_reader reader = {.warning = on_warning};
        char data[4096];
        ssize_t n;

        if (lseek(fd, 0, SEEK_SET) == 0)
                while ((n = read(fd, data, sizeof(data))) > 0)
                        report_read(&reader, data, (size_t)n);
        report_reader_done(&reader);
}

static int pack_inputs(const char *folder, char *const *inputs, struct error *err)
{
        autofree char *path = xasprintf("%s/inputs.tar", folder);
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        autoclose int reports = memfd_create("reports", MFD_CLOEXEC);
        const struct pack_options options = {.fd = fd, .reports = reports, .paths = inputs};
        int r;

        if (fd < 0 || reports < 0)
                return error_errno(err, errno, "cannot write '%s'", path);
        r = pack(&options, err);
        tell_warnings(reports);
        if (r == 0 && fsync(fd) < 0)
                return error_errno(err, errno, "cannot write '%s'", path);
        return r;
}

int new_job_make(struct new_job *n, const char *home, char *const *inputs, struct error *err)
{
        autofree char *jobs = xasprintf("%s/jobs", home);

        new_folder_sweep(jobs); /* of those who were killed */
        n->lock = new_folder_make(jobs, &n->path, err);
        if (n->lock < 0)
                return -1;
        return inputs && inputs[0] ? pack_inputs(n->path, inputs, err) : 0;
}

/* Where the folder is now, the kernel knows: proc(5). */
unsigned long long new_job_number(const struct new_job *n)
{
        autofree char *link = xasprintf("/proc/self/fd/%d", n->lock);
        char path[PATH_MAX];
        ssize_t size = readlink(link, path, sizeof(path) - 1);
        const char *slash;
        uint64_t id;

        if (size <= 0)
                return 0;
        path[size] = '\0';
        slash = strrchr(path, '/');
        return slash && parse_u64(slash + 1, 1, INT64_MAX, &id) == 0 ? id : 0;
}

void new_job_done(struct new_job *n)
{
        if (n->path && new_job_number(n) == 0)
                tree_remove(n->path, NULL);
        free(take_ptr(n->path));
        cleanup_close(&n->lock);
}
