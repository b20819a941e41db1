/* SPDX-License-Identifier: MIT */
#include "cli/chroot_archive.h"

#include "archive/compress.h"
#include "archive/rootfs.h"
#include "cli/chroot.h"
#include "cli/chroot_call.h"
#include "cli/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct source {
        const char *path;
        int fd;
        bool folder;
};

static int open_source(const char *from, struct source *ret, struct error *err)
{
        struct stat st;

        *ret = (struct source){.path = from, .fd = streq(from, "-") ? STDIN_FILENO : open(from, O_RDONLY | O_CLOEXEC)};
        if (ret->fd < 0 || fstat(ret->fd, &st) < 0)
                return error_errno(err, errno, "cannot read '%s'", from);
        ret->folder = S_ISDIR(st.st_mode);
        return 0;
}

/* In a child. */
static int write_source(const void *userdata, int fd, struct error *err)
{
        const struct source *s = userdata;

        setlocale(LC_CTYPE, "C.UTF-8");
        if (s->folder)
                return rootfs_pack(s->path, fd, err);
        return decompress_stream(s->fd, fd, err) < 0 ? error_prefix(err, "'%s'", s->path) : 0;
}

/* Of two errors that of the side which did not just see the other one go is the reason. */
static int join_errors(int r, struct filter *f, struct error *err)
{
        struct error filter_error = ERROR_INIT;

        if (filter_end(f, r != 0, &filter_error) < 0 && (r == 0 || (r < 0 && filter_error.code != ERR_DISCONNECTED))) {
                *err = filter_error;
                return -1;
        }
        return r;
}

int chroot_import_from(const struct invocation *inv, const char *from, const char *verb, struct error *err)
{
        const char *architecture = arguments_text(&inv->arguments, "arch", NULL);
        const char *suite = arguments_text(&inv->arguments, "suite", NULL);
        autostrv char **words = chroot_argv("import"), **lines = NULL;
        struct chroot_call call = {.output = -1, .cancelled = "nothing was left behind"};
        struct filter f = FILTER_INIT;
        struct source source;
        int r;

        if (architecture)
                strv_addf(&words, "--architecture=%s", architecture);
        if (suite)
                strv_addf(&words, "--suite=%s", suite);
        strv_add(&words, "--");
        strv_add(&words, inv->operands[0]);
        if (open_source(from, &source, err) < 0)
                return -1;
        r = filter_start(&f, write_source, &source, false, err);
        if (r == 0) {
                call.words = words;
                call.input = f.fd;
                r = join_errors(chroot_call(inv, &call, &lines, err), &f, err);
        }
        if (source.fd > STDERR_FILENO)
                close(source.fd);
        return r != 0 ? r : chroot_tell_made(inv, lines, verb, err);
}

struct sink {
        const char *method;
        int fd;
};

/* In a child. */
static int read_sink(const void *userdata, int fd, struct error *err)
{
        const struct sink *s = userdata;

        return compress_stream(fd, s->fd, s->method, err);
}

static int export_to_fd(const struct invocation *inv, const struct sink *sink, struct error *err)
{
        autostrv char **words = chroot_argv("export");
        struct chroot_call call = {.input = -1, .cancelled = "nothing was written"};
        struct filter f = FILTER_INIT;

        strv_add(&words, "--");
        strv_add(&words, inv->operands[0]);
        call.words = words;
        call.output = sink->fd;
        if (*sink->method) {
                if (filter_start(&f, read_sink, sink, true, err) < 0)
                        return -1;
                call.output = f.fd;
        }
        return join_errors(chroot_call(inv, &call, NULL, err), &f, err);
}

int chroot_export_to(const struct invocation *inv, const char *to, struct error *err)
{
        struct sink sink = {.method = streq(to, "-") ? "" : compress_method(to), .fd = STDOUT_FILENO};
        autofree char *temporary = xasprintf("%s.XXXXXX", to);
        mode_t mask = umask(0);
        int r;

        umask(mask);
        if (!sink.method)
                return error_set(err, ERR_INVALID, "'%s' does not end in .tar.zst, .tar.xz, .tar.gz or .tar: choose one", to);
        if (streq(to, "-"))
                return export_to_fd(inv, &sink, err);
        sink.fd = mkostemp(temporary, O_CLOEXEC);
        if (sink.fd < 0)
                return error_errno(err, errno, "cannot write '%s'", to);
        r = export_to_fd(inv, &sink, err);
        if (r == 0 && (fchmod(sink.fd, 0666 & ~mask) < 0 || close(take_fd(&sink.fd)) < 0 || rename(temporary, to) < 0))
                r = error_errno(err, errno, "cannot write '%s'", to);
        if (r != 0)
                unlink(temporary);
        cleanup_close(&sink.fd);
        return r;
}
