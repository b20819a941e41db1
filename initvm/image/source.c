/* SPDX-License-Identifier: MIT */
#include "image/source.h"

#include "image/qemu_img.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* blkid(8), "EXIT STATUS", of -p: nothing that it knows is there. */
#define BLKID_NOTHING   2
#define BLKID_TIMEOUT_S 60

/* As many images may be based on one another. */
#define CHAIN_MAX 64

/*
 * The byte of an image that every QEMU has a lock on that may write to it (RAW_LOCK_PERM_BASE and BLK_PERM_WRITE in QEMU's
 * block/file-posix.c, since 2.10).  qemu-img(1) minds it for formats with tables of their own only.
 */
#define QEMU_WRITER_BYTE 101

static int check_unused(int fd, struct error *err)
{
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = QEMU_WRITER_BYTE, .l_len = 1};

        if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
                return error_errno(err, errno, "cannot tell whether the image is in use");
        return lock.l_type == F_UNLCK ? 0 : error_set(err, ERR_STATE, "%s", QEMU_IMG_IN_USE);
}

static void find_encryption(void *userdata, const char *line)
{
        bool *encrypted = userdata;

        *encrypted |= streq(line, "TYPE=crypto_LUKS") || streq(line, "TYPE=BitLocker");
}

/* Any file can be taken for a raw image: one of a disk has a partition table or a file system. */
static int check_raw(struct run *run, const char *path, struct error *err)
{
        char *const argv[] = {(char *)"blkid", (char *)"-p", (char *)"-o", (char *)"export", (char *)"--", (char *)path, NULL};
        bool encrypted = false;
        int status = 0;
        const struct run_tool tool = {
                .argv = argv, .timeout = BLKID_TIMEOUT_S, .ret_exit = &status, .line = find_encryption, .userdata = &encrypted};

        if (run_tool(run, &tool, err) < 0)
                return -1;
        if (status == BLKID_NOTHING)
                return error_set(err, ERR_INVALID,
                                 "'%s' is not an image of a disk: it has neither a partition table nor a file system", path);
        return encrypted ? error_set(err, ERR_UNSUPPORTED, "the image is encrypted: only what is not can be taken over") : 0;
}

static int check_format(struct run *run, const char *path, struct json_object *info, struct source *ret, struct error *err)
{
        static const char *const formats[] = {QEMU_IMG_FORMAT, "raw"};
        const char *format = json_get_string(info, "format", "");

        for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
                if (streq(format, formats[i]))
                        ret->format = formats[i];
        if (!ret->format)
                return error_set(
                        err, ERR_UNSUPPORTED,
                        "'%s' is an image of the format '%s': make it one of qcow2 first, with 'qemu-img convert -O qcow2'", path,
                        format);
        if (json_get_bool(info, "encrypted", false))
                return error_set(err, ERR_UNSUPPORTED, "the image is encrypted: only what is not can be taken over");
        return streq(ret->format, "raw") ? check_raw(run, path, err) : 0;
}

/* One that an image names as its backing file: *ret is what is known of it. A downloaded image may name any file of this host,
 * and what is in that would be the guest's: it must be the image of a disk itself. */
static int look_at_base(struct run *run, const char *path, struct json_object **ret, struct error *err)
{
        struct source base = {0};

        if (path[0] != '/')
                return error_set(
                        err, ERR_UNSUPPORTED,
                        "the image is based on '%s', which is not a file of this host: make it one that stands by itself, "
                        "with 'qemu-img convert -O qcow2'",
                        path);
        *ret = qemu_img_info(run, path, NULL, err);
        if (*ret)
                return check_format(run, path, *ret, &base, err) < 0 ? error_prefix(err, "what the image is based on") : 0;
        if (err->code == ERR_NOT_FOUND || err->code == ERR_DENIED)
                return error_set(err, err->code, "the image needs a backing file that cannot be opened: '%s'", path);
        return -1;
}

static int check_bases(struct run *run, struct json_object *info, struct error *err)
{
        autojson struct json_object *image = json_object_get(info);

        for (int i = 0; i < CHAIN_MAX; i++) {
                const char *base = json_get_string(image, "full-backing-filename", NULL);
                struct json_object *next = NULL, *specific = json_get(json_get(image, "format-specific"), "data");

                if (json_get_string(specific, "data-file", NULL))
                        return error_set(
                                err, ERR_UNSUPPORTED,
                                "the image keeps its content in another file, '%s': make it one that stands by itself, with "
                                "'qemu-img convert -O qcow2'",
                                json_get_string(specific, "data-file", NULL));
                if (!base)
                        return 0;
                if (look_at_base(run, base, &next, err) < 0) {
                        json_object_put(next);
                        return -1;
                }
                json_object_put(image);
                image = next;
        }
        return error_set(err, ERR_UNSUPPORTED, "the image is the end of a chain of more than %d images", CHAIN_MAX);
}

int source_check(struct run *run, const char *path, struct source *ret, struct error *err)
{
        autojson struct json_object *info = NULL;
        autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        struct stat st;

        *ret = (struct source){0};
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, errno, "cannot read the image '%s'", path);
        if (!S_ISREG(st.st_mode) || st.st_size == 0)
                return error_set(err, ERR_INVALID, "'%s' is not an image of a disk: it is %s", path,
                                 S_ISREG(st.st_mode) ? "empty" : "not a file");
        if (check_unused(fd, err) < 0)
                return -1;
        ret->modified = st.st_mtim;
        info = qemu_img_info(run, path, NULL, err);
        if (!info || check_format(run, path, info, ret, err) < 0 || check_bases(run, info, err) < 0)
                return -1;
        ret->size = qemu_img_virtual_size(info);
        return qemu_img_measure(run, path, ret->format, &ret->content, err);
}

int source_check_unchanged(const char *path, const struct source *source, struct error *err)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return error_errno(err, errno, "cannot read the image '%s'", path);
        if (st.st_mtim.tv_sec != source->modified.tv_sec || st.st_mtim.tv_nsec != source->modified.tv_nsec)
                return error_set(err, ERR_STATE,
                                 "'%s' was written to while it was being taken over: try again when nobody uses it", path);
        return 0;
}
