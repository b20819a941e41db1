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

#define NOTHING_WRITTEN "nothing was written"

static int open_source(const char *from, struct chroot_source *ret, struct error *err)
{
        struct stat st;

        *ret = (struct chroot_source){.path = from, .fd = streq(from, "-") ? STDIN_FILENO : open(from, O_RDONLY | O_CLOEXEC)};
        if (ret->fd < 0 || fstat(ret->fd, &st) < 0)
                return error_errno(err, errno, "cannot read '%s'", from);
        ret->folder = S_ISDIR(st.st_mode);
        return 0;
}

/* In a child. */
static int write_source(const void *userdata, int fd, struct error *err)
{
        const struct chroot_source *s = userdata;

        setlocale(LC_CTYPE, "C.UTF-8");
        if (s->folder)
                return rootfs_pack(s->path, fd, err);
        return decompress_stream(s->fd, fd, err) < 0 ? error_prefix(err, "'%s'", s->path) : 0;
}

int chroot_send(const struct invocation *inv, char **words, const struct chroot_source *source, char ***ret, struct error *err)
{
        struct chroot_call call = {.words = words, .output = -1, .cancelled = "nothing was left behind"};
        struct filter f = FILTER_INIT;
        int r = filter_start(&f, write_source, source, false, err);

        if (r < 0)
                return -1;
        call.input = f.fd;
        return filter_join(&f, chroot_call(inv, &call, ret, err), err);
}

int chroot_import_from(const struct invocation *inv, const char *from, const char *verb, struct error *err)
{
        const char *architecture = arguments_text(&inv->arguments, "arch", NULL);
        const char *suite = arguments_text(&inv->arguments, "suite", NULL);
        autostrv char **words = chroot_argv("import"), **lines = NULL;
        struct chroot_source source;
        int r;

        if (architecture)
                strv_addf(&words, "--architecture=%s", architecture);
        if (suite)
                strv_addf(&words, "--suite=%s", suite);
        strv_add(&words, "--");
        strv_add(&words, inv->operands[0]);
        if (open_source(from, &source, err) < 0)
                return -1;
        r = chroot_send(inv, words, &source, &lines, err);
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

int chroot_receive(const struct invocation *inv, char **words, int fd, const char *method, const char *cancelled,
                   struct error *err)
{
        const struct sink sink = {.method = method, .fd = fd};
        struct chroot_call call = {.words = words, .input = -1, .output = fd, .cancelled = cancelled};
        struct filter f = FILTER_INIT;

        if (*method) {
                if (filter_start(&f, read_sink, &sink, true, err) < 0)
                        return -1;
                call.output = f.fd;
        }
        return filter_join(&f, chroot_call(inv, &call, NULL, err), err);
}

int chroot_export_to(const struct invocation *inv, const char *to, struct error *err)
{
        const char *method = streq(to, "-") ? "" : compress_method(to);
        autofree char *temporary = xasprintf("%s.XXXXXX", to);
        autostrv char **words = chroot_argv("export");
        mode_t mask = umask(0);
        autoclose int fd = -1;
        int r;

        umask(mask);
        strv_add(&words, "--");
        strv_add(&words, inv->operands[0]);
        if (!method)
                return error_set(err, ERR_INVALID, "'%s' does not end in .tar.zst, .tar.xz, .tar.gz or .tar: choose one", to);
        if (streq(to, "-"))
                return chroot_receive(inv, words, STDOUT_FILENO, method, NOTHING_WRITTEN, err);
        fd = mkostemp(temporary, O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "cannot write '%s'", to);
        r = chroot_receive(inv, words, fd, method, NOTHING_WRITTEN, err);
        if (r == 0 && (fchmod(fd, 0666 & ~mask) < 0 || close(take_fd(&fd)) < 0 || rename(temporary, to) < 0))
                r = error_errno(err, errno, "cannot write '%s'", to);
        if (r != 0)
                unlink(temporary);
        return r;
}
