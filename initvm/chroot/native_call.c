/* SPDX-License-Identifier: MIT */
/*
 * Called in a chroot by the name of a program: starts the VM's one in its place, or the chroot's own.
 *
 * The VM's one is an ordinary dynamic program whose loader and libraries are not where it would look for them, so that its loader
 * is started and told, ld.so(8).  Nothing of that is inherited by what it starts.
 */
#include "chroot/native.h"

#include "base/file.h"
#include "base/util.h"
#include "chroot/native_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <unistd.h>

#define STATUS_NOT_EXECUTED 126
#define STATUS_NOT_FOUND    127

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void native_environment(char ***environment)
{
        bool configured = false;

        for (char **e = *environment; e && *e; e++) {
                configured |= str_has_prefix(*e, "APT_CONFIG=");
                if (str_has_prefix(*e, "PATH=")) {
                        char *path = xasprintf("PATH=" NATIVE_FOLDER "/bin:%s", *e + strlen("PATH="));

                        free(*e);
                        *e = path;
                }
        }
        if (!configured)
                strv_add(environment, NATIVE_APT_CONFIG);
}

/* The path that execve(2) was called with, getauxval(3): argv[0] may be anything. */
static const char *called_as(void)
{
        const char *path = (const char *)getauxval(AT_EXECFN);

        return path && str_has_prefix(path, NATIVE_FOLDER "/") ? path : NULL;
}

bool native_called(void)
{
        return called_as() != NULL;
}

/* Of the table; owned, NULL when there is no such line. *ret_path: of the chroot's own program, which follows the name. */
static char *find_line(const char *name, char **ret_path)
{
        autofree char *table = file_read(NATIVE_FOLDER "/" NATIVE_TABLE, NATIVE_TABLE_MAX, NULL, NULL);
        autofree char *prefix = xasprintf("%s ", name);
        autostrv char **lines = table ? strv_split(table, "\n") : NULL;

        for (char **line = lines; line && *line; line++)
                if (str_has_prefix(*line, prefix)) {
                        const char *path = *line + strlen(prefix);

                        *ret_path = xstrndup(path, strcspn(path, " "));
                        return xstrdup(*line);
                }
        return NULL;
}

/* What would have been called without us: the next one in PATH, or `otherwise`. Owned; NULL when there is none. */
static char *find_own(const char *name, const char *otherwise)
{
        const char *path = getenv("PATH");
        autostrv char **folders = strv_split(path ? path : PATH_DEFAULT, ":");

        for (char **folder = folders; *folder; folder++) {
                autofree char *candidate = xasprintf("%s/%s", *folder, name);
                struct stat st;

                if (!str_has_prefix(*folder, NATIVE_FOLDER) && access(candidate, X_OK) == 0 && stat(candidate, &st) == 0 &&
                    S_ISREG(st.st_mode))
                        return take_ptr(candidate);
        }
        return otherwise ? xstrdup(otherwise) : NULL;
}

/* Still the one of the table. *ret_same: and the VM's is of its version. */
static bool is_unchanged(const char *name, const char *path, const char *own, const char *line, bool *ret_same)
{
        autofree char *now = NULL;
        struct stat st;

        if (!own || stat(own, &st) < 0)
                return false;
        now = native_table_line(name, path, &st);
        *ret_same = str_has_suffix(line, NATIVE_SAME);
        return str_has_prefix(line, now) && line[strlen(now)] == ' ';
}

/* Whether it makes a package, dpkg-deb(1): what comes out may differ from version to version. */
static bool makes_package(const char *name, char *const *argv)
{
        return streq(name, "dpkg-deb") && (strv_contains(argv, "-b") || strv_contains(argv, "--build"));
}

/* What the chroot's loader and libraries would obey, and the VM's would not or in another way: something preloaded, such as
 * fakeroot(1), and languages, of which the VM has others. */
static bool is_plain_environment(void)
{
        static const char *const loader[] = {"LD_", "GLIBC_TUNABLES=", "GCONV_PATH=", "LOCPATH=", "NLSPATH="};
        static const char *const language[] = {"LANG=", "LANGUAGE=", "LC_"};
        static const char *const plain[] = {"", "C", "POSIX", "C.UTF-8", "C.utf8"};

        for (char **e = environ; e && *e; e++) {
                const char *value = strchr(*e, '=');
                bool fine = false;

                for (size_t i = 0; i < ARRAY_SIZE(loader); i++)
                        if (str_has_prefix(*e, loader[i]))
                                return false;
                for (size_t i = 0; value && i < ARRAY_SIZE(plain); i++)
                        fine |= streq(value + 1, plain[i]);
                for (size_t i = 0; !fine && i < ARRAY_SIZE(language); i++)
                        if (str_has_prefix(*e, language[i]))
                                return false;
        }
        return true;
}

/* Comes back when it cannot be executed. */
static void execute_native(const char *name, int argc, char **argv)
{
        static const char *const loader[] = {NATIVE_FOLDER "/" NATIVE_LOADER, "--inhibit-cache", "--library-path",
                                             NATIVE_FOLDER "/lib", "--argv0"};
        autofree char *program = xasprintf(NATIVE_FOLDER "/programs/%s", name), *path = NULL;
        autofree char **words = xcalloc(ARRAY_SIZE(loader) + (size_t)argc + 2, sizeof(*words));
        size_t n = 0;

        for (; n < ARRAY_SIZE(loader); n++)
                words[n] = (char *)loader[n];
        words[n++] = argc > 0 ? argv[0] : (char *)name;
        words[n++] = program;
        for (int i = 1; i < argc; i++)
                words[n++] = argv[i];
        if (streq(name, "dpkg-deb")) { /* which starts nothing but what is meant for it */
                path = xasprintf(NATIVE_FOLDER "/backend:%s", getenv("PATH") ? getenv("PATH") : PATH_DEFAULT);
                setenv("PATH", path, 1);
        }
        execv(words[0], words);
}

int native_main(int argc, char **argv)
{
        const char *path = called_as(), *name = path ? strrchr(path, '/') + 1 : "";
        autofree char *own_path = NULL, *line = find_line(name, &own_path), *own = find_own(name, own_path);

        bool same = false;

        if (line && is_unchanged(name, own_path, own, line, &same) && (same || !makes_package(name, argv)) &&
            is_plain_environment())
                execute_native(name, argc, argv);
        if (own)
                execvp(own, argv); /* also a script that does not say by what it is read: execlp(3) */
        dprintf(STDERR_FILENO, "%s: %s\n", name, own ? strerror(errno) : "command not found");
        return own && errno != ENOENT ? STATUS_NOT_EXECUTED : STATUS_NOT_FOUND;
}

/* For apt, which works from outside of the chroot then: in a file of mmdebstrap's own that goes with it. */
static int tell_apt(struct error *err)
{
        const char *path = getenv("MMDEBSTRAP_APT_CONFIG");
        autoclose int fd = path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

        if (fd < 0 || fd_write_all(fd, NATIVE_APT_PATH, strlen(NATIVE_APT_PATH)) < 0)
                return error_errno(err, errno, "cannot write mmdebstrap's configuration of apt");
        return 0;
}

int native_hook_main(int argc, char **argv)
{
        autofree char *place = argc == 3 ? xasprintf("%s" NATIVE_FOLDER, argv[2]) : NULL;
        struct error err = ERROR_INIT;
        int count;

        if (!place)
                return 2;
        count = native_lay_out(argv[1], argv[2], &err);
        if (count > 0 && (mkdir(place, 0755) < 0 || mount(argv[1], place, NULL, MS_BIND, NULL) < 0 ||
                          mount(NULL, place, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0))
                count = error_errno(&err, errno, "cannot mount '%s'", place);
        if (count > 0 && tell_apt(&err) < 0)
                count = -1;
        if (count < 0)
                fprintf(stderr, "W: programs of the VM do not stand in: %s\n", err.message);
        return 0; /* it goes without */
}
