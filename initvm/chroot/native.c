/* SPDX-License-Identifier: MIT */
/*
 * Laying the programs out.  They are copies: who is root in the chroot can reach nothing of the VM through them.
 */
#include "chroot/native.h"

#include "base/file.h"
#include "base/process.h"
#include "base/util.h"
#include "binfmt/file_kind.h"
#include "chroot/installed.h"
#include "chroot/native_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the time goes when packages are installed under emulation (measured in Debian 12 for armhf): dpkg-deb takes half of all
 * CPU time, tar and dpkg-split most of what else is the same on every architecture, and apt's method `store`, which unpacks
 * lists, 60% of apt-get update. */
const struct native_program native_programs[] = {
        {"dpkg-deb", "/usr/bin/dpkg-deb", "dpkg", "bin"},
        {"dpkg-split", "/usr/bin/dpkg-split", "dpkg", "bin"},
        {"tar", "/usr/bin/tar", "tar", "backend"},
        {"store", "/usr/lib/apt/methods/store", "apt", "methods"},
        {0},
};

static const char *const places[] = {"bin", "backend", "methods", "programs", "lib", NULL};

/* What the loader says of one program: a line for each library. */
#define LIBRARIES_MAX (64u << 10)

struct layout {
        const char *folder, *root;
        char *loader; /* of the programs: all have the same */
        struct buf table;
};

char *native_table_line(const char *name, const char *path, const struct stat *st)
{
        return xasprintf(NATIVE_TABLE_LINE, name, path, (long long)st->st_size, (long long)st->st_mtim.tv_sec,
                         st->st_mtim.tv_nsec);
}

static int copy(const char *from, const char *to, struct error *err)
{
        autoclose int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        ssize_t n;

        if (in < 0 || out < 0)
                return error_errno(err, errno, "cannot copy '%s' to '%s'", from, to);
        while ((n = sendfile(out, in, NULL, 1u << 30)) > 0)
                ;
        return n < 0 ? error_errno(err, errno, "cannot copy '%s' to '%s'", from, to) : 0;
}

/* ---- libraries */

/* What the loader answers to --list, ld.so(8). */
static char *list_libraries(const char *loader, const char *program, struct error *err)
{
        char *const argv[] = {(char *)loader, (char *)"--list", (char *)program, NULL};
        autobuf struct buf text = {0};
        autoclose int in = -1, out = -1;
        int fds[2], status;
        ssize_t n;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot start '%s'", loader), NULL;
        in = fds[0];
        out = fds[1];
        const struct process_fd passed = {.from = out, .to = STDOUT_FILENO};
        const struct process_options options = {.fds = &passed, .n_fds = 1, .death_signal = SIGKILL};
        if (process_spawn(argv, &options, &pid, err) < 0)
                return NULL;
        close(take_fd(&out));
        while ((n = read(in, buf_reserve(&text, 4096), 4096)) > 0 && buf_size(&text) < LIBRARIES_MAX)
                buf_commit(&text, (size_t)n);
        close(take_fd(&in)); /* it ends in any case */
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (n != 0 || status != 0)
                return error_set(err, ERR_FAILED, "'%s --list %s': %s", loader, program, process_status_text(status)), NULL;
        return buf_take_string(&text);
}

/* Lines are "NAME => PATH (ADDRESS)", and others without a file to be copied. */
static int copy_libraries(const struct layout *l, const char *program, struct error *err)
{
        autofree char *text = list_libraries(l->loader, program, err);
        autostrv char **lines = text ? strv_split(text, "\n") : NULL;

        if (!text)
                return -1;
        for (char **line = lines; *line; line++) {
                const char *path = strstr(*line, " => /");
                autofree char *from = path ? xstrndup(path + 4, strcspn(path + 4, " ")) : NULL;
                autofree char *to = from ? xasprintf("%s/lib/%s", l->folder, strrchr(from, '/') + 1) : NULL;

                if (to && access(to, F_OK) < 0 && copy(from, to, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- programs */

/* Which loader a program of the VM wants. Owned; NULL for one that has none. */
static char *loader_of(const char *program)
{
        autoclose int fd = open(program, O_RDONLY | O_CLOEXEC);
        autofree char *head = xcalloc(1, FILE_HEAD_MAX);
        ssize_t n = fd < 0 ? -1 : read(fd, head, FILE_HEAD_MAX);
        struct file_kind kind;

        if (n <= 0)
                return NULL;
        file_kind_read(head, (size_t)n, &kind);
        return kind.type == FILE_PROGRAM && *kind.interpreter ? xstrdup(kind.interpreter) : NULL;
}

/* The first one brings the loader. Returns 1, or 0 for a program that is not as the others are. */
static int copy_loader(struct layout *l, const char *program, struct error *err)
{
        autofree char *loader = loader_of(program), *to = xasprintf("%s/" NATIVE_LOADER, l->folder);

        if (!loader || (l->loader && !streq(loader, l->loader)))
                return 0;
        if (!l->loader) {
                if (copy(loader, to, err) < 0)
                        return -1;
                l->loader = take_ptr(loader);
        }
        return 1;
}

static int add_program(struct layout *l, const struct native_program *p, const struct stat *own, const char *version,
                       struct error *err)
{
        autofree char *program = xasprintf("%s/programs/%s", l->folder, p->name);
        autofree char *link = xasprintf("%s/%s/%s", l->folder, p->place, p->name);
        autofree char *line = native_table_line(p->name, p->path, own);
        int r = copy_loader(l, p->path, err);

        if (r <= 0)
                return r;
        if (copy(p->path, program, err) < 0 || copy_libraries(l, program, err) < 0)
                return -1;
        if (symlink("../launcher", link) < 0)
                return error_errno(err, errno, "cannot make '%s'", link);
        buf_printf(&l->table, "%s%s\n", line, version);
        return 1;
}

/* How the version of ours compares with theirs: NATIVE_SAME, NATIVE_SERIES, or NULL when ours cannot stand in. */
static const char *compare_versions(const struct native_program *p, const char *root)
{
        autofree char *ours = installed_source_version("", p->package), *theirs = installed_source_version(root, p->package);
        autofree char *our_series = ours ? version_series(ours) : NULL, *series = theirs ? version_series(theirs) : NULL;

        if (streq(ours, theirs))
                return NATIVE_SAME;
        return streq(our_series, series) ? NATIVE_SERIES : NULL;
}

static int add_programs(struct layout *l, struct error *err)
{
        int count = 0;

        for (const struct native_program *p = native_programs; p->name; p++) {
                autofree char *own = xasprintf("%s%s", l->root, p->path);
                const char *version = compare_versions(p, l->root);
                struct stat st;
                int r = 0;

                if (version && access(p->path, X_OK) == 0 && lstat(own, &st) == 0 && S_ISREG(st.st_mode))
                        r = add_program(l, p, &st, version, err);
                if (r < 0)
                        return -1;
                count += r;
        }
        return count;
}

/* ---- the whole */

/* apt calls its methods by their paths. */
#define APT_CONF_STORE "Dir::Bin::Methods::store \"" NATIVE_FOLDER "/methods/store\";\n"

static int write_file(const struct layout *l, const char *name, const char *text, struct error *err)
{
        autofree char *path = xasprintf("%s/%s", l->folder, name);
        autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        return fd < 0 || fd_write_all(fd, text, strlen(text)) < 0 ? error_errno(err, errno, "cannot write '%s'", path) : 0;
}

static int make_folders(const struct layout *l, struct error *err)
{
        if (mkdir(l->folder, 0755) < 0)
                return error_errno(err, errno, "cannot make the folder '%s'", l->folder);
        for (const char *const *place = places; *place; place++) {
                autofree char *path = xasprintf("%s/%s", l->folder, *place);

                if (mkdir(path, 0755) < 0)
                        return error_errno(err, errno, "cannot make the folder '%s'", path);
        }
        return 0;
}

static int fill(struct layout *l, struct error *err)
{
        autofree char *launcher = xasprintf("%s/launcher", l->folder), *store = xasprintf("%s/methods/store", l->folder);
        autofree char *table = NULL, *conf = NULL;
        int count;

        if (make_folders(l, err) < 0 || copy("/proc/self/exe", launcher, err) < 0)
                return -1;
        count = add_programs(l, err);
        if (count <= 0)
                return count;
        table = buf_take_string(&l->table);
        conf = xasprintf(NATIVE_APT_PATH "%s", faccessat(AT_FDCWD, store, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? APT_CONF_STORE : "");
        if (write_file(l, NATIVE_TABLE, table, err) < 0 || write_file(l, "apt.conf", conf, err) < 0)
                return -1;
        return count;
}

int native_lay_out(const char *folder, const char *root, struct error *err)
{
        autofree char *ours = installed_architecture(""), *theirs = installed_architecture(root);
        struct layout l = {.folder = folder, .root = root};
        mode_t mask;
        int count;

        if (!ours || !theirs || streq(ours, theirs))
                return 0;
        mask = umask(022); /* every user of the chroot runs them */
        count = fill(&l, err);
        umask(mask);
        if (count <= 0)
                tree_remove(folder, NULL);
        buf_done(&l.table);
        free(l.loader);
        return count;
}
