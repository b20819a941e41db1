/* SPDX-License-Identifier: MIT */
/*
 * Files of the image: listed, read as a tar stream, written from one.  The streams are those of 'initvm cp' (archive/), with the
 * same process at their other end; what is believed of the image here only concerns the appliance.
 */
#include "archive/name.h"
#include "archive/tar.h"
#include "image/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a folder; an answer must stay below JSON_SIZE_MAX. */
#define ENTRIES_MAX 8192

/* libguestfs passes at most 4 MiB at once (GUESTFS_MESSAGE_MAX). */
#define CHUNK ((size_t)2 << 20)

/* Folders in folders. */
#define DEPTH_MAX 200

/* ---- list */

static const char *type_of(uint32_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFREG:
                return "file";
        case S_IFDIR:
                return "folder";
        case S_IFLNK:
                return "link";
        case S_IFBLK:
        case S_IFCHR:
                return "device";
        case S_IFIFO:
                return "pipe";
        default:
                return "socket";
        }
}

static struct json_object *describe(struct guest *guest, const char *name, const char *path, const struct guestfs_statns *st)
{
        struct json_object *o = json_new();
        char *target = (st->st_mode & S_IFMT) == S_IFLNK ? guestfs_readlink(guest->g, path) : NULL;

        json_add_string(o, "name", name);
        json_add_string(o, "type", type_of((uint32_t)st->st_mode));
        json_add_u64(o, "mode", (uint64_t)st->st_mode & 07777);
        json_add_u64(o, "uid", (uint64_t)st->st_uid);
        json_add_u64(o, "gid", (uint64_t)st->st_gid);
        json_add_u64(o, "size", (uint64_t)st->st_size);
        json_add_i64(o, "modified", st->st_mtime_sec);
        json_add_string(o, "target", target);
        free(target);
        return o;
}

static int list_folder(struct guest *guest, const char *path, struct json_object *array, struct error *err)
{
        char **names = guestfs_ls(guest->g, path);
        struct guestfs_statns_list *list = names ? guestfs_lstatnslist(guest->g, path, names) : NULL;
        int r = 0;

        if (!list)
                r = guest_failed(guest, err, "'%s' cannot be listed", path);
        else if (list->len > ENTRIES_MAX)
                r = error_set(err, ERR_UNSUPPORTED, "'%s' has %u entries, more than %d: copy it with 'initvm disk cp'", path,
                              list->len, ENTRIES_MAX);
        for (uint32_t i = 0; r == 0 && i < list->len; i++) {
                autofree char *entry = xasprintf("%s/%s", streq(path, "/") ? "" : path, names[i]);

                json_object_array_add(array, describe(guest, names[i], entry, &list->val[i]));
        }
        guestfs_free_statns_list(list);
        strv_free(names);
        return r;
}

/* Absolute, as libguestfs wants it; a relative one begins at the root. */
static char *absolute(const char *path)
{
        return path[0] == '/' ? xstrdup(path) : xasprintf("/%s", path);
}

static int list_one(struct guest *guest, const char *path, struct json_object *array, struct error *err)
{
        struct guestfs_statns *st = guestfs_lstatns(guest->g, path);

        if (!st)
                return error_set(err, ERR_NOT_FOUND, "there is no '%s' on the image", path);
        if (guestfs_is_dir_opts(guest->g, path, GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS, 1, -1) == 1) {
                guestfs_free_statns(st);
                return list_folder(guest, path, array, err);
        }
        json_object_array_add(array, describe(guest, path, path, st));
        guestfs_free_statns(st);
        return 0;
}

int guest_list(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err)
{
        struct json_object *array = json_object_new_array();

        json_add(result, "entries", array);
        if (guest_mount(guest, err) < 0)
                return -1;
        for (size_t i = 0; i < json_object_array_length(request->paths); i++) {
                autofree char *path = absolute(json_object_get_string(json_object_array_get_idx(request->paths, i)));

                if (list_one(guest, path, array, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- read */

struct reading {
        struct guest *guest;
        struct tar_writer tar;
        struct json_object *left_out;
};

static int read_file(struct reading *r, const char *path, int64_t size, struct error *err)
{
        for (int64_t at = 0; at < size;) {
                size_t n = 0;
                char *data = guestfs_pread(r->guest->g, path, (int)MIN((int64_t)CHUNK, size - at), at, &n);
                int result;

                if (!data || n == 0) {
                        free(data);
                        return guest_failed(r->guest, err, "'%s' cannot be read", path);
                }
                result = tar_write_data(&r->tar, data, n, err);
                free(data);
                if (result < 0)
                        return -1;
                at += (int64_t)n;
        }
        return 0;
}

static int read_tree(struct reading *r, const char *path, const char *name, unsigned depth, struct error *err);

static int read_folder(struct reading *r, const char *path, const char *name, unsigned depth, struct error *err)
{
        char **names = guestfs_ls(r->guest->g, path);
        int result = names ? 0 : guest_failed(r->guest, err, "'%s' cannot be listed", path);

        for (char **n = names; n && *n && result == 0; n++) {
                autofree char *inner_path = xasprintf("%s/%s", path, *n), *inner_name = xasprintf("%s/%s", name, *n);

                result = read_tree(r, inner_path, inner_name, depth + 1, err);
        }
        strv_free(names);
        return result;
}

static int read_entry(struct reading *r, const char *path, const char *name, const struct guestfs_statns *st, unsigned depth,
                      struct error *err)
{
        struct archive_entry *entry = archive_entry_clear(r->tar.entry);
        uint32_t type = (uint32_t)st->st_mode & S_IFMT;
        char *target;

        archive_entry_set_pathname(entry, name);
        archive_entry_set_mode(entry, (mode_t)st->st_mode);
        archive_entry_set_mtime(entry, st->st_mtime_sec, (long)st->st_mtime_nsec);
        if (type == S_IFREG) {
                archive_entry_set_size(entry, st->st_size);
                return tar_write_header(&r->tar, err) < 0 ? -1 : read_file(r, path, st->st_size, err);
        }
        if (type == S_IFDIR && depth < DEPTH_MAX)
                return tar_write_header(&r->tar, err) < 0 ? -1 : read_folder(r, path, name, depth, err);
        if (type == S_IFLNK && (target = guestfs_readlink(r->guest->g, path))) {
                archive_entry_set_symlink(entry, target);
                free(target);
                return tar_write_header(&r->tar, err);
        }
        json_object_array_add(r->left_out, json_object_new_string(path));
        return 0;
}

static int read_tree(struct reading *r, const char *path, const char *name, unsigned depth, struct error *err)
{
        /* What is named is followed, as with cp(1) -H. */
        struct guestfs_statns *st = depth == 0 ? guestfs_statns(r->guest->g, path) : guestfs_lstatns(r->guest->g, path);
        int result;

        if (!st)
                return error_set(err, ERR_NOT_FOUND, "there is no '%s' on the image", path);
        result = read_entry(r, path, name, st, depth, err);
        guestfs_free_statns(st);
        return result;
}

static int open_stream(const struct image_request *request, int flags, struct error *err)
{
        int fd = request->stream ? open(request->stream, flags | O_CLOEXEC) : -1;

        if (fd < 0)
                error_errno(err, errno, "the caller's end of the copy cannot be opened");
        return fd;
}

int guest_read(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err)
{
        struct reading r = {.guest = guest, .left_out = json_object_new_array()};
        autoclose int fd = open_stream(request, O_WRONLY, err);
        int status = 0;

        json_add(result, "leftOut", r.left_out);
        if (fd < 0 || guest_mount(guest, err) < 0)
                return -1;
        guest_stage("copy", "copying");
        tar_writer_init(&r.tar, fd);
        for (size_t i = 0; status == 0 && i < json_object_array_length(request->paths); i++) {
                autofree char *path = absolute(json_object_get_string(json_object_array_get_idx(request->paths, i)));
                autofree char *name = name_of_source(path);

                status = read_tree(&r, path, name, 0, err);
        }
        if (status == 0)
                status = tar_write_end(&r.tar, err);
        tar_writer_done(&r.tar);
        return status;
}

/* ---- write */

struct writing {
        struct guest *guest;
        struct tar_reader tar;
        const char *target;
        bool into; /* the target is a folder: the sources go in under their names */
};

/* Whole or not at all: written beside its place, and renamed. */
static int write_file(struct writing *w, const char *path, struct archive_entry *entry, struct error *err)
{
        autofree char *temporary = xasprintf("%s.initvm-part", path);
        guestfs_h *g = w->guest->g;
        const void *data;
        int64_t offset;
        size_t n;
        int more;

        if (guestfs_write(g, temporary, "", 0) < 0)
                return guest_failed(w->guest, err, "'%s' cannot be written", path);
        while ((more = tar_read_data(&w->tar, &data, &n, &offset, err)) > 0)
                for (size_t done = 0; done < n;) {
                        int written = guestfs_pwrite(g, temporary, (const char *)data + done, MIN(CHUNK, n - done),
                                                     offset + (int64_t)done);

                        if (written <= 0) {
                                guest_failed(w->guest, err, "'%s' cannot be written", path);
                                guestfs_rm_f(g, temporary);
                                return -1;
                        }
                        done += (size_t)written;
                }
        if (more == 0 && (guestfs_truncate_size(g, temporary, archive_entry_size(entry)) < 0 ||
                          guestfs_chmod(g, (int)archive_entry_perm(entry) & 0777, temporary) < 0 ||
                          guestfs_utimens(g, temporary, archive_entry_mtime(entry), archive_entry_mtime_nsec(entry),
                                          archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)) < 0 ||
                          guestfs_rename(g, temporary, path) < 0))
                more = guest_failed(w->guest, err, "'%s' cannot be written", path);
        if (more < 0)
                guestfs_rm_f(g, temporary);
        return more;
}

static int write_entry(struct writing *w, struct archive_entry *entry, struct error *err)
{
        const char *name = archive_entry_pathname(entry), *rest = strchr(name, '/');
        autofree char *path = w->into ? xasprintf("%s/%s", streq(w->target, "/") ? "" : w->target, name)
                                      : xasprintf("%s%s", w->target, rest ? rest : "");
        guestfs_h *g = w->guest->g;

        for (size_t n = strlen(path); n > 1 && path[n - 1] == '/';)
                path[--n] = '\0';
        switch (archive_entry_filetype(entry)) {
        case AE_IFREG:
                return write_file(w, path, entry, err);
        case AE_IFDIR:
                if (guestfs_is_dir(g, path) != 1 &&
                    (guestfs_mkdir(g, path) < 0 || guestfs_chmod(g, (int)archive_entry_perm(entry) & 0777, path) < 0))
                        return guest_failed(w->guest, err, "the folder '%s' cannot be made", path);
                return 0;
        case AE_IFLNK:
                if (guestfs_ln_sf(g, archive_entry_symlink(entry), path) < 0)
                        return guest_failed(w->guest, err, "the link '%s' cannot be made", path);
                return 0;
        default:
                return error_set(err, ERR_PROTOCOL, "'%s' is no file, folder or link", name);
        }
}

int guest_write(struct guest *guest, const struct image_request *request, struct json_object *result, struct error *err)
{
        struct json_object *first = json_object_array_get_idx(request->paths, 0);
        autofree char *target = first ? absolute(json_object_get_string(first)) : NULL;
        struct writing w = {.guest = guest, .target = target};
        autoclose int fd = open_stream(request, O_RDONLY, err);
        struct archive_entry *entry;
        bool slash;
        int more;

        (void)result;
        if (fd < 0 || guest_mount(guest, err) < 0)
                return -1;
        if (!target)
                return error_set(err, ERR_INVALID, "no path was named");
        slash = str_has_suffix(target, "/");
        for (size_t n = strlen(target); n > 1 && target[n - 1] == '/';)
                target[--n] = '\0';
        w.into = guestfs_is_dir_opts(guest->g, target, GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS, 1, -1) == 1;
        if (slash && !w.into)
                return error_set(err, ERR_NOT_FOUND, "there is no folder '%s' on the image", target);
        guest_stage("copy", "copying");
        tar_reader_init(&w.tar, fd);
        while ((more = tar_read_header(&w.tar, &entry, err)) > 0)
                if (write_entry(&w, entry, err) < 0) {
                        more = -1;
                        break;
                }
        tar_reader_done(&w.tar);
        return more;
}
