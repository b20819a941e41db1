/* SPDX-License-Identifier: MIT */
#include "chroot/store.h"

#include "base/file.h"
#include "chroot/overlay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define NEW_PREFIX  ".new-"
#define LOCK_NAME   ".lock"
#define RECORD_NAME "chroot.json"

int chroot_name_check(const char *name, struct error *err)
{
        static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
        size_t n = strlen(name);

        if (n > 0 && n <= CHROOT_NAME_MAX && strspn(name, good) == n && !strchr("._-", name[0]))
                return 0;
        return error_set(
                err, ERR_INVALID,
                "'%s' cannot be a chroot's name: use 1 to %d letters, digits, '.', '_' or '-', beginning with a letter or a "
                "digit",
                name, CHROOT_NAME_MAX);
}

/* ---- locks */

static void on_alarm(int signo)
{
        (void)signo; /* it interrupts flock(2) */
}

int store_lock(const struct store *s, struct error *err)
{
        const struct sigaction interrupt = {.sa_handler = on_alarm};
        const struct itimerval after = {.it_value.tv_sec = STORE_LOCK_TIMEOUT_S, .it_interval.tv_sec = 1}, never = {0};
        autofree char *path = xasprintf("%s/" LOCK_NAME, s->chroots);
        autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct sigaction before;
        int r, errnum;

        if (fd < 0)
                return error_errno(err, errno, "cannot open the lock '%s'", path);
        sigaction(SIGALRM, &interrupt, &before);
        setitimer(ITIMER_REAL, &after, NULL);
        r = flock(fd, LOCK_EX);
        errnum = errno;
        setitimer(ITIMER_REAL, &never, NULL);
        sigaction(SIGALRM, &before, NULL);
        if (r == 0)
                return take_fd(&fd);
        if (errnum == EINTR)
                return error_set(err, ERR_TIMEOUT, "the chroots are locked by another process in the VM for more than %u s: '%s'",
                                 STORE_LOCK_TIMEOUT_S, path);
        return error_errno(err, errnum, "cannot lock '%s'", path);
}

static int in_use(const struct store *s, const char *name, struct error *err)
{
        autofree char *users = overlay_users(s, name);

        return error_set(err, ERR_STATE, "the chroot '%s' is in use%s%s; try again when that has ended", name,
                         users ? " by " : "", users ? users : " by a command that copies or changes it");
}

int store_use(const struct store *s, const char *name, bool exclusive, struct error *err)
{
        autofree char *path = xasprintf("%s/%s", s->chroots, name);
        autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0 && errno == ENOENT)
                return error_set(err, ERR_NOT_FOUND, "there is no chroot '%s'; 'initvm chroot list' shows those that are there",
                                 name);
        if (fd < 0)
                return error_errno(err, errno, "cannot use the chroot '%s'", name);
        if (flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
                return in_use(s, name, err);
        return take_fd(&fd);
}

int store_use_shared(const struct store *s, const char *name, struct error *err)
{
        autoclose int lock = -1;

        if (chroot_name_check(name, err) < 0)
                return -1;
        lock = store_lock(s, err);
        return lock < 0 ? -1 : store_use(s, name, false, err);
}

int store_use_alone(const struct store *s, const char *name, int fd, struct error *err)
{
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
                return 0;
        flock(fd, LOCK_SH | LOCK_NB); /* a refused conversion gives the lock away: flock(2) */
        return in_use(s, name, err);
}

/* ---- new ones */

int store_new(const struct store *s, struct new_chroot *ret, struct error *err)
{
        autonew struct new_chroot n = NEW_CHROOT_INIT;
        autoclose int lock = store_lock(s, err);

        if (lock < 0)
                return -1;
        n.path = xasprintf("%s/" NEW_PREFIX "XXXXXX", s->chroots);
        if (!mkdtemp(n.path)) {
                error_errno(err, errno, "cannot make a folder in '%s'", s->chroots);
                cleanup_free(&n.path);
                n.path = NULL;
                return -1;
        }
        n.root = xasprintf("%s/root", n.path);
        n.fd = open(n.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (n.fd < 0 || flock(n.fd, LOCK_EX | LOCK_NB) < 0 || mkdir(n.root, 0755) < 0 || chmod(n.root, 0755) < 0)
                return error_errno(err, errno, "cannot make a folder in '%s'", s->chroots);
        *ret = n;
        n.path = n.root = NULL;
        n.fd = -1;
        return 0;
}

void new_chroot_done(struct new_chroot *n)
{
        if (n->path)
                tree_remove(n->path, NULL);
        cleanup_close(&n->fd);
        free(n->path);
        free(n->root);
        *n = (struct new_chroot)NEW_CHROOT_INIT;
}

int store_commit(const struct store *s, struct new_chroot *n, const char *name, struct json_object *record, int replaces,
                 struct error *err)
{
        autofree char *path = xasprintf("%s/%s", s->chroots, name), *file = xasprintf("%s/" RECORD_NAME, n->path);
        const char *line = json_line(record);

        if (file_write_atomic(file, 0644, line, strlen(line), err) < 0)
                return -1;
        /* Others shall see it: mkdtemp(3) has made it for us alone. */
        if (fchmod(n->fd, 0755) < 0)
                return error_errno(err, errno, "cannot make the chroot '%s'", name);
        if (renameat2(AT_FDCWD, n->path, AT_FDCWD, path, replaces >= 0 ? RENAME_EXCHANGE : RENAME_NOREPLACE) < 0) {
                if (errno == EEXIST)
                        return store_check_free(s, name, err);
                return error_errno(err, errno, "cannot make the chroot '%s'", name);
        }
        if (replaces >= 0) /* what stands under the hidden name now is the old one */
                return 0;
        cleanup_free(&n->path);
        n->path = NULL;
        return 0;
}

/* Its folder is locked, so that nobody takes what is under the hidden name for left over. */
static int hide(const struct store *s, const char *name, char *hidden, struct error *err)
{
        autofree char *path = xasprintf("%s/%s", s->chroots, name);
        autoclose int lock = store_lock(s, err);

        if (lock < 0)
                return -1;
        if (!mkdtemp(hidden))
                return error_errno(err, errno, "cannot remove the chroot '%s'", name);
        if (rename(path, hidden) == 0)
                return 0;
        error_errno(err, errno, "cannot remove the chroot '%s'", name);
        rmdir(hidden);
        return -1;
}

int store_remove(const struct store *s, const char *name, struct error *err)
{
        autofree char *hidden = xasprintf("%s/" NEW_PREFIX "XXXXXX", s->chroots);

        return hide(s, name, hidden, err) < 0 ? -1 : tree_remove(hidden, err);
}

bool store_has(const struct store *s, const char *name)
{
        autofree char *path = xasprintf("%s/%s", s->chroots, name);

        return access(path, F_OK) == 0;
}

int store_check_free(const struct store *s, const char *name, struct error *err)
{
        if (!store_has(s, name))
                return 0;
        return error_set(err, ERR_EXISTS,
                         "there is a chroot '%s' already; choose another name, or 'initvm chroot remove %s' removes it", name,
                         name);
}

/* ---- reading */

struct json_object *store_record(const struct store *s, const char *name, struct error *err)
{
        autofree char *path = xasprintf("%s/%s/" RECORD_NAME, s->chroots, name);
        struct json_object *o;

        if (!store_has(s, name)) {
                error_set(err, ERR_NOT_FOUND, "there is no chroot '%s'; 'initvm chroot list' shows those that are there", name);
                return NULL;
        }
        o = json_parse_file(path, err);
        if (o)
                json_add_string(o, "name", name); /* it may have been renamed */
        return o;
}

static int is_chroot(const struct dirent *d)
{
        return d->d_name[0] != '.';
}

static int compare(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

char **store_names(const struct store *s)
{
        char **names = xcalloc(1, sizeof(*names));
        struct dirent **found = NULL;
        int n = scandir(s->chroots, &found, is_chroot, compare);

        for (int i = 0; i < n; i++) {
                strv_add(&names, found[i]->d_name);
                free(found[i]);
        }
        free(found);
        return names;
}

/* ---- opening */

static int is_hidden(const struct dirent *d)
{
        return str_has_prefix(d->d_name, NEW_PREFIX);
}

/* Opens and locks those that nobody holds; -1 in the place of the others. */
static int *lock_left(const struct store *s, struct dirent **found, int n)
{
        int *fds = xcalloc((size_t)MAX(n, 0) + 1, sizeof(*fds));

        for (int i = 0; i < n; i++) {
                autofree char *path = xasprintf("%s/%s", s->chroots, found[i]->d_name);
                autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

                fds[i] = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 ? take_fd(&fd) : -1;
        }
        return fds;
}

/* They are locked under the lock of all names, and removed without it. */
static int remove_left(const struct store *s, struct error *err)
{
        autoclose int lock = store_lock(s, err);
        autofree struct dirent **found = NULL;
        autofree int *fds = NULL;
        int n;

        if (lock < 0)
                return -1;
        n = scandir(s->chroots, &found, is_hidden, compare);
        fds = lock_left(s, found, n);
        close(take_fd(&lock));
        for (int i = 0; i < n; i++) {
                autofree char *path = xasprintf("%s/%s", s->chroots, found[i]->d_name);

                if (fds[i] >= 0) {
                        tree_remove(path, NULL);
                        close(fds[i]);
                }
                free(found[i]);
        }
        return 0;
}

int store_open(struct store *s, const char *state, const char *runtime, struct error *err)
{
        *s = (struct store){.chroots = xasprintf("%s/chroots", state),
                            .overlays = xasprintf("%s/overlays", state),
                            .native = xasprintf("%s/native", state),
                            .mounts = xasprintf("%s/chroots", runtime)};
        if (geteuid() != 0)
                return error_set(err, ERR_DENIED, "chroots belong to root of the VM: run this as root");
        if (dir_make(s->chroots, 0755, err) < 0 || dir_make(s->overlays, 0755, err) < 0 || dir_make(s->native, 0755, err) < 0 ||
            dir_make(s->mounts, 0755, err) < 0)
                return -1;
        return remove_left(s, err) < 0 ? -1 : overlay_remove_left(s, err);
}

void store_done(struct store *s)
{
        free(s->chroots);
        free(s->overlays);
        free(s->native);
        free(s->mounts);
        *s = (struct store){0};
}
