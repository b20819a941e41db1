/* SPDX-License-Identifier: MIT */
#include "base/paths.h"

#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef INITVM_LIBEXECDIR
#define INITVM_LIBEXECDIR "/usr/local/libexec/initvm"
#endif
#ifndef INITVM_DATADIR
#define INITVM_DATADIR "/usr/local/share/initvm"
#endif

/* How far above the program its source tree may be: build/bin, build/asan/bin. */
#define SOURCE_TREE_LEVELS 4

/* The folder of the running program, owned; NULL when the kernel does not tell. */
static char *program_folder(void)
{
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
        char *slash;

        if (n < 0)
                return NULL;
        path[n] = '\0';
        slash = strrchr(path, '/');
        if (!slash)
                return NULL;
        *slash = '\0';
        return xstrdup(path);
}

/* The data that comes with the program: the source tree when it runs from one, else where `make install` put it. */
static char *data_folder(void)
{
        autofree char *folder = program_folder();

        for (int level = 0; folder && level < SOURCE_TREE_LEVELS; level++) {
                autofree char *marker = xasprintf("%s/preseed/default.cfg", folder);
                autofree char *makefile = xasprintf("%s/Makefile", folder);
                char *slash;
                if (access(marker, F_OK) == 0 && access(makefile, F_OK) == 0)
                        return take_ptr(folder);
                slash = strrchr(folder, '/');
                if (!slash)
                        break;
                *slash = '\0';
        }
        return xstrdup(INITVM_DATADIR);
}

static const char *environment_folder(const char *name)
{
        const char *value = getenv(name);
        return value && value[0] == '/' ? value : NULL; /* relative ones are to be ignored: XDG Base Directory Specification */
}

static char *xdg_folder(const char *variable, const char *home, const char *below)
{
        const char *value = environment_folder(variable);
        return value ? xasprintf("%s/initvm", value) : xasprintf("%s/%s/initvm", home, below);
}

static int resolve(struct paths *p, struct error *err)
{
        const char *moved = getenv("INITVM_HOME");
        const char *home = environment_folder("HOME");
        const char *runtime = environment_folder("XDG_RUNTIME_DIR");

        if (moved && *moved) {
                if (moved[0] != '/')
                        return error_set(err, ERR_INVALID, "INITVM_HOME must be an absolute path, not '%s'", moved);
                p->state = xstrdup(moved);
                p->runtime = xasprintf("%s/run", moved);
                p->config = xasprintf("%s/config", moved);
                p->cache = xasprintf("%s/cache", moved);
                return 0;
        }
        if (geteuid() == 0) {
                p->state = xstrdup("/var/lib/initvm");
                p->runtime = xstrdup("/run/initvm");
                p->config = xstrdup("/etc/initvm");
                p->cache = xstrdup("/var/cache/initvm");
                return 0;
        }
        if (!home)
                return error_set(err, ERR_INVALID, "neither HOME nor INITVM_HOME is set to an absolute path");
        p->state = xdg_folder("XDG_STATE_HOME", home, ".local/state");
        p->config = xdg_folder("XDG_CONFIG_HOME", home, ".config");
        p->cache = xdg_folder("XDG_CACHE_HOME", home, ".cache");
        p->runtime = runtime ? xasprintf("%s/initvm", runtime) : xasprintf("%s/run", p->state);
        return 0;
}

int paths_init(struct paths *p, struct error *err)
{
        autofree char *data = data_folder();

        *p = (struct paths){0};
        if (resolve(p, err) < 0)
                return -1;
        p->socket = xasprintf("%s/socket", p->runtime);
        p->log = xasprintf("%s/initvmd.log", p->state);
        p->images = xasprintf("%s/images", data);
        p->preseed = xasprintf("%s/preseed", data);
        if (strlen(p->state) > PATHS_STATE_MAX)
                error_set(err, ERR_INVALID,
                          "'%s' is longer than %d bytes, too long for the sockets below it; set INITVM_HOME to a "
                          "shorter folder",
                          p->state, PATHS_STATE_MAX);
        else if (strlen(p->socket) > PATHS_SOCKET_MAX)
                error_set(err, ERR_INVALID,
                          "'%s' is longer than %d bytes, too long for a socket; set INITVM_HOME to a shorter folder", p->socket,
                          PATHS_SOCKET_MAX);
        else
                return 0;
        paths_done(p);
        return -1;
}

int paths_make(const struct paths *p, struct error *err)
{
        struct stat st;

        /* Root's state can be passed through (not listed): QEMU runs as another user there and must reach its image. */
        if (dir_make(p->state, geteuid() == 0 ? 0711 : 0700, err) < 0 || dir_make(p->runtime, 0700, err) < 0 ||
            dir_make(p->cache, 0700, err) < 0)
                return -1;
        if (stat(p->runtime, &st) < 0)
                return error_errno(err, errno, "cannot use '%s'", p->runtime);
        if (st.st_uid != geteuid())
                return error_set(err, ERR_DENIED,
                                 "'%s' belongs to another user (uid %u); set INITVM_HOME to a folder of your own", p->runtime,
                                 st.st_uid);
        if (chmod(p->runtime, 0700) < 0)
                return error_errno(err, errno, "cannot make '%s' private", p->runtime);
        return 0;
}

void paths_done(struct paths *p)
{
        free(p->state);
        free(p->runtime);
        free(p->config);
        free(p->cache);
        free(p->socket);
        free(p->log);
        free(p->images);
        free(p->preseed);
        *p = (struct paths){0};
}

char *paths_program(const char *name, struct error *err)
{
        autofree char *folder = program_folder();
        autofree char *beside = xasprintf("%s/%s", folder ? folder : ".", name);
        autofree char *installed = xasprintf("%s/%s", streq(name, "initvm") ? INITVM_BINDIR : INITVM_LIBEXECDIR, name);

        if (access(beside, X_OK) == 0)
                return take_ptr(beside);
        if (access(installed, X_OK) == 0)
                return take_ptr(installed);
        error_set(err, ERR_NOT_FOUND, "the program '%s' is neither in '%s' nor is there '%s'; install initvm again", name,
                  folder ? folder : ".", installed);
        return NULL;
}
