/* SPDX-License-Identifier: MIT */
#include "chroot/installed.h"

#include "base/file.h"
#include "base/util.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#define STATUS_FILE     "var/lib/dpkg/status"
#define STATUS_FILE_MAX (32u << 20)
#define ARCHIVES        "var/cache/apt/archives"

/* The text of the database; owned, NULL when there is none. */
static char *read_status(const char *root)
{
        autofree char *path = xasprintf("%s/" STATUS_FILE, root);
        struct stat st;

        if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode)) /* a symbolic link might lead out of it */
                return NULL;
        return file_read(path, STATUS_FILE_MAX, NULL, NULL);
}

/* The value of a line "NAME: value" of the paragraph that begins at `text`. Owned, or NULL. */
static char *field_of(const char *text, const char *name)
{
        size_t n = strlen(name);

        for (const char *line = text; line && *line && *line != '\n'; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, name, n) == 0 && str_has_prefix(line + n, ": "))
                        return xstrndup(line + n + 2, strcspn(line + n + 2, "\n"));
        return NULL;
}

/* The paragraph of a package; NULL when there is none. Those of the main architecture come first. */
static const char *paragraph_of(const char *status, const char *package)
{
        autofree char *line = xasprintf("Package: %s\n", package);
        const char *found = status;

        while ((found = strstr(found, line)) && found != status && found[-1] != '\n')
                found++;
        return found;
}

char *installed_field(const char *status, const char *package, const char *field)
{
        const char *paragraph = paragraph_of(status, package);
        autofree char *state = paragraph ? field_of(paragraph, "Status") : NULL;

        return state && str_has_suffix(state, " ok installed") ? field_of(paragraph, field) : NULL;
}

/* Of the package file "NAME_VERSION_ARCHITECTURE.deb" in apt's cache the part behind the name or, when `last`, the last one:
 * owned, NULL when there is none. A ':' in a version is "%3a" there. */
static char *fetched_part(const char *root, const char *package, bool last)
{
        autofree char *path = xasprintf("%s/" ARCHIVES, root), *prefix = xasprintf("%s_", package);
        DIR *folder = opendir(path);
        const struct dirent *entry;
        char *part = NULL;

        while (folder && !part && (entry = readdir(folder))) {
                const char *version = entry->d_name + strlen(prefix);
                const char *end = str_has_prefix(entry->d_name, prefix) ? strchr(version, '_') : NULL;

                if (end && str_has_suffix(end, ".deb"))
                        part = last ? xstrndup(end + 1, strlen(end + 1) - strlen(".deb"))
                                    : xstrndup(version, (size_t)(end - version));
        }
        if (folder)
                closedir(folder);
        return part;
}

/* An architecture or a version as above. */
static char *find(const char *root, const char *package, const char *field)
{
        autofree char *status = read_status(root);
        char *value = status ? installed_field(status, package, field) : NULL;

        return value || (status && *status) ? value : fetched_part(root, package, streq(field, "Architecture"));
}

char *installed_architecture(const char *root)
{
        return find(root, "dpkg", "Architecture");
}

char *installed_source_version(const char *root, const char *package)
{
        char *version = find(root, package, "Version");
        char *rebuild = version ? strrchr(version, '+') : NULL;

        if (rebuild && rebuild[1] == 'b' && rebuild[2] && strspn(rebuild + 2, "0123456789") == strlen(rebuild + 2))
                *rebuild = '\0';
        return version;
}

char *version_series(const char *version)
{
        const char *colon = strchr(version, ':'), *upstream = colon ? colon + 1 : version;
        size_t major = strspn(upstream, "0123456789");

        if (upstream[major] != '.')
                return xstrndup(upstream, major);
        return xstrndup(upstream, major + 1 + strspn(upstream + major + 1, "0123456789"));
}
