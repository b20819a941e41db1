/* SPDX-License-Identifier: MIT */
#include "chroot/overlay.h"

#include "base/file.h"
#include "base/project.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SESSION_NAME "session.json"

/* Where systemd-nspawn keeps a folder for each of its machines while it runs, and leaves it when it is killed; the second one
 * since systemd 256. */
static const char *const nspawn_folders[] = {"/run/systemd/nspawn/propagate", "/run/systemd/nspawn/unix-export"};

/* More of the others are counted, not named. */
#define USERS_SHOWN 3

static struct overlay named(const struct store *s, const char *id)
{
        struct overlay o = OVERLAY_INIT;

        o.store = s;
        o.id = xstrdup(id);
        o.folder = xasprintf("%s/%s", s->overlays, id);
        o.upper = xasprintf("%s/upper", o.folder);
        o.mount = xasprintf("%s/%s", s->mounts, id);
        o.root = xasprintf("%s/root", o.mount);
        return o;
}

/* A machine's name is a host name: no '_', 64 letters at most (systemd: hostname_is_valid). */
static char *choose_id(const char *name)
{
        uint32_t number;
        char *id;

        random_bytes(&number, sizeof(number));
        id = xasprintf("%.48s.%08" PRIx32, name, number);
        for (char *c = id; *c; c++)
                if (*c == '_')
                        *c = '-';
        return id;
}

static int write_session(struct overlay *o, const char *name, const char *command, struct error *err)
{
        autofree char *path = xasprintf("%s/" SESSION_NAME, o->folder);
        autojson struct json_object *session = json_new();
        const char *line;

        json_add_string(session, "chroot", name);
        json_add_u64(session, "pid", (uint64_t)getpid());
        json_add_string(session, "command", command);
        json_add_u64(session, "since", (uint64_t)time(NULL));
        line = json_line(session);
        o->lock = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (o->lock < 0 || flock(o->lock, LOCK_EX | LOCK_NB) < 0 || fd_write_all(o->lock, line, strlen(line)) < 0)
                return error_errno(err, errno, "cannot write '%s'", path);
        return 0;
}

static int make_folders(struct overlay *o, const char *name, const char *command, struct error *err)
{
        autofree char *work = xasprintf("%s/work", o->folder);
        autoclose int lock = store_lock(o->store, err); /* without a locked session it would be taken for left over */

        if (lock < 0)
                return -1;
        if (mkdir(o->folder, 0755) < 0 || mkdir(o->upper, 0755) < 0 || mkdir(work, 0755) < 0 || mkdir(o->mount, 0755) < 0 ||
            mkdir(o->root, 0755) < 0)
                return error_errno(err, errno, "cannot make the folders of an overlay in '%s'", o->store->overlays);
        return write_session(o, name, command, err);
}

/* The root of an overlay is the folder `upper`: it looks like the one below. */
static int copy_root(const struct overlay *o, const char *lower, struct error *err)
{
        struct stat st;

        if (stat(lower, &st) < 0 || chown(o->upper, st.st_uid, st.st_gid) < 0 || chmod(o->upper, st.st_mode & 07777) < 0)
                return error_errno(err, errno, "cannot prepare '%s'", o->upper);
        return 0;
}

/* The features that would leave more behind in `upper` than whiteouts and opaque folders are off: farm.h reads it. */
static int mount_overlay(struct overlay *o, const char *lower, struct error *err)
{
        autofree char *options =
                xasprintf("lowerdir=%s,upperdir=%s,workdir=%s/work,redirect_dir=off,index=off,metacopy=off,xino=off", lower,
                          o->upper, o->folder);

        if (mount("initvm-chroot", o->root, "overlay", 0, options) < 0)
                return error_errno(err, errno, "cannot mount an overlay at '%s'", o->root);
        o->mounted = true;
        return 0;
}

/* Both folders: what is written anew is made in the one, and moved to the other. */
static int assign_project(const struct overlay *o, uint32_t project, struct error *err)
{
        autofree char *work = xasprintf("%s/work", o->folder);

        if (project == 0)
                return 0;
        return project_assign(o->upper, project, err) < 0 ? -1 : project_assign(work, project, err);
}

int overlay_new(const struct store *s, const char *name, const char *command, uint32_t project, struct overlay *ret,
                struct error *err)
{
        autofree char *lower = xasprintf("%s/%s/root", s->chroots, name), *id = choose_id(name);
        autooverlay struct overlay o = named(s, id);

        if (make_folders(&o, name, command, err) < 0 || assign_project(&o, project, err) < 0 || copy_root(&o, lower, err) < 0 ||
            mount_overlay(&o, lower, err) < 0)
                return -1;
        *ret = o;
        o = (struct overlay)OVERLAY_INIT;
        return 0;
}

int overlay_unmount(struct overlay *o, struct error *err)
{
        if (o->mounted && umount2(o->root, UMOUNT_NOFOLLOW) < 0)
                return error_errno(err, errno, "cannot unmount '%s'; 'initvm exec -- lsof %s' may tell who works in it", o->root,
                                   o->root);
        o->mounted = false;
        return 0;
}

/* A systemd-nspawn that was killed may still be ending, and keeps its folders busy: ours stays, so that the next one tries again.
 */
static void remove_folders(const struct overlay *o)
{
        bool ended = true;

        tree_remove(o->mount, NULL);
        for (size_t i = 0; i < ARRAY_SIZE(nspawn_folders); i++) {
                autofree char *path = xasprintf("%s/%s", nspawn_folders[i], o->id);
                ended &= rmdir(path) == 0 || errno == ENOENT;
        }
        if (ended)
                tree_remove(o->folder, NULL);
}

void overlay_done(struct overlay *o)
{
        if (o->id) {
                if (o->mounted && umount2(o->root, UMOUNT_NOFOLLOW) < 0)
                        umount2(o->root, UMOUNT_NOFOLLOW | MNT_DETACH); /* who still looks at it from the VM keeps what is open */
                remove_folders(o);
        }
        cleanup_close(&o->lock);
        free(o->id);
        free(o->folder);
        free(o->upper);
        free(o->mount);
        free(o->root);
        *o = (struct overlay)OVERLAY_INIT;
}

/* ---- the others */

static int is_name(const struct dirent *d)
{
        return d->d_name[0] != '.';
}

/* The session file, opened; *ret_held says whether its owner lives. -1 when there is none (its maker was killed). */
static int open_session(const struct overlay *o, bool *ret_held)
{
        autofree char *path = xasprintf("%s/" SESSION_NAME, o->folder);
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

        *ret_held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
        return fd;
}

int overlay_remove_left(const struct store *s, struct error *err)
{
        autoclose int lock = store_lock(s, err);
        autofree struct dirent **found = NULL;
        autofree struct overlay *left = NULL;
        int n, n_left = 0;

        if (lock < 0)
                return -1;
        n = scandir(s->overlays, &found, is_name, NULL);
        left = xcalloc((size_t)MAX(n, 0) + 1, sizeof(*left));
        for (int i = 0; i < n; i++) {
                bool held;

                left[n_left] = named(s, found[i]->d_name);
                left[n_left].lock = open_session(&left[n_left], &held);
                left[n_left].mounted = true;
                if (held) {
                        cleanup_free(&left[n_left].id); /* nothing of it is removed */
                        left[n_left].id = NULL;
                        overlay_done(&left[n_left]);
                } else {
                        n_left++;
                }
                free(found[i]);
        }
        close(take_fd(&lock));
        for (int i = 0; i < n_left; i++)
                overlay_done(&left[i]);
        return 0;
}

/* "'COMMAND' (pid N in the VM)" when the overlay is one of that chroot and in use. */
static char *user_of(const struct store *s, const char *id, const char *name)
{
        autooverlay struct overlay o = named(s, id);
        autofree char *path = xasprintf("%s/" SESSION_NAME, o.folder);
        autojson struct json_object *session = NULL;
        bool held;

        o.lock = open_session(&o, &held);
        cleanup_free(&o.id); /* not ours to remove */
        o.id = NULL;
        session = held ? json_parse_file(path, NULL) : NULL;
        if (!session || !streq(json_get_string(session, "chroot", ""), name) ||
            json_get_u64(session, "pid", 0) == (uint64_t)getpid())
                return NULL;
        return xasprintf("'%s' (pid %" PRIu64 " in the VM)", json_get_string(session, "command", "?"),
                         json_get_u64(session, "pid", 0));
}

char *overlay_users(const struct store *s, const char *name)
{
        autofree struct dirent **found = NULL;
        struct buf users = {0};
        int n = scandir(s->overlays, &found, is_name, NULL), count = 0;

        for (int i = 0; i < n; i++) {
                autofree char *user = user_of(s, found[i]->d_name, name);

                if (user && ++count <= USERS_SHOWN)
                        buf_printf(&users, "%s%s", count > 1 ? " and " : "", user);
                free(found[i]);
        }
        if (count > USERS_SHOWN)
                buf_printf(&users, " and %d more", count - USERS_SHOWN);
        if (count == 0)
                return NULL;
        return buf_take_string(&users);
}

char *overlay_chroot(const struct store *s, const char *id)
{
        autofree char *path = xasprintf("%s/%s/" SESSION_NAME, s->overlays, id);
        autojson struct json_object *session = json_parse_file(path, NULL);
        const char *chroot = session ? json_get_string(session, "chroot", NULL) : NULL;

        return chroot ? xstrdup(chroot) : NULL;
}
