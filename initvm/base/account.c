/* SPDX-License-Identifier: MIT */
#include "base/account.h"

#include "base/file.h"
#include "base/util.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As in Debian's login.defs(5). */
#define PATH_ROOT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PATH_USER "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"

#define LOCALE_FILE_MAX 4096 /* a handful of short lines */

static void take_entry(struct account *a, const struct passwd *entry)
{
        a->name = xstrdup(entry->pw_name);
        a->uid = entry->pw_uid;
        a->gid = entry->pw_gid;
        a->home = xstrdup(entry->pw_dir && *entry->pw_dir ? entry->pw_dir : "/");
        a->shell = xstrdup(entry->pw_shell && *entry->pw_shell ? entry->pw_shell : "/bin/sh");
}

static bool names_user(const struct group *group, const char *user)
{
        return strv_contains(group->gr_mem, user);
}

static void add_group(struct account *a, gid_t gid)
{
        a->groups = xrealloc(a->groups, a->n_groups + 1, sizeof(gid_t));
        a->groups[a->n_groups++] = gid;
}

static FILE *open_below(const char *root, const char *path)
{
        autofree char *full = xasprintf("%s%s", root, path);

        return fopen(full, "re");
}

static void find_groups(struct account *a, const char *root)
{
        autofclose FILE *f = open_below(root, "/etc/group");
        struct group *group;

        add_group(a, a->gid);
        while (f && a->n_groups < NGROUPS_MAX && (group = fgetgrent(f)))
                if (group->gr_gid != a->gid && names_user(group, a->name))
                        add_group(a, group->gr_gid);
}

int account_find(const char *name, struct account *ret, struct error *err)
{
        return account_find_below("", name, ret, err);
}

int account_find_below(const char *root, const char *name, struct account *ret, struct error *err)
{
        autofclose FILE *f = open_below(root, "/etc/passwd");
        struct passwd *entry = NULL;

        if (!f && name)
                return error_errno(err, errno, "cannot read '/etc/passwd'");
        while (f && (entry = fgetpwent(f)))
                if (name ? streq(entry->pw_name, name) : entry->pw_uid == geteuid())
                        break;
        *ret = (struct account){0};
        if (entry)
                take_entry(ret, entry);
        else if (name)
                return error_set(err, ERR_INVALID, "there is no user '%s' in /etc/passwd", name);
        else
                *ret = (struct account){.name = xasprintf("%u", geteuid()),
                                        .uid = geteuid(),
                                        .gid = getegid(),
                                        .home = xstrdup("/"),
                                        .shell = xstrdup("/bin/sh")};
        find_groups(ret, root);
        return 0;
}

void account_done(struct account *a)
{
        free(a->name);
        free(a->groups);
        free(a->home);
        free(a->shell);
        *a = (struct account){0};
}

const char *environment_get(char *const *environment, const char *name)
{
        size_t n = strlen(name);

        for (; environment && *environment; environment++)
                if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
                        return *environment + n + 1;
        return NULL;
}

/* Sets or replaces the variable of "NAME=value". */
static void set_variable(char ***environment, const char *assignment)
{
        size_t n = strcspn(assignment, "=") + 1;

        for (char **e = *environment; e && *e; e++)
                if (strncmp(*e, assignment, n) == 0) {
                        free(*e);
                        *e = xstrdup(assignment);
                        return;
                }
        strv_add(environment, assignment);
}

/* LANG="C.UTF-8", LC_TIME=...: what pam_env(8) takes from the file, quotes removed; anything else is passed over. */
static void add_locale(char ***environment, const char *file)
{
        size_t n;
        autofree char *text = file_read(file, LOCALE_FILE_MAX, &n, NULL);
        autostrv char **lines = text ? strv_split(text, "\n") : NULL;

        for (char **line = lines; line && *line; line++) {
                char *value = strchr(*line, '=');
                size_t length;

                if (!value || (!str_has_prefix(*line, "LANG") && !str_has_prefix(*line, "LC_")))
                        continue;
                *value++ = '\0';
                length = strlen(value);
                if (length >= 2 && strchr("\"'", value[0]) && value[length - 1] == value[0]) {
                        value[length - 1] = '\0';
                        value++;
                }
                if (*value && strspn(*line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == strlen(*line)) {
                        autofree char *assignment = xasprintf("%s=%s", *line, value);
                        set_variable(environment, assignment);
                }
        }
}

char **account_environment(const struct account *a, const char *locale_file, char *const *overrides)
{
        char **environment = NULL;

        strv_addf(&environment, "HOME=%s", a->home);
        strv_addf(&environment, "USER=%s", a->name);
        strv_addf(&environment, "LOGNAME=%s", a->name);
        strv_addf(&environment, "SHELL=%s", a->shell);
        strv_addf(&environment, "PATH=%s", a->uid == 0 ? PATH_ROOT : PATH_USER);
        add_locale(&environment, locale_file);
        for (; overrides && *overrides; overrides++)
                set_variable(&environment, *overrides);
        return environment;
}
