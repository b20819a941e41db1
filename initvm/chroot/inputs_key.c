/* SPDX-License-Identifier: MIT */
/* What goes into a chroot as one text, and its digest. */
#include "base/digest.h"
#include "base/file.h"
#include "base/util.h"
#include "chroot/command_private.h"
#include "chroot/inputs.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* Another number whenever what is made of the same inputs becomes another: then nobody takes what an older agent has made. */
#define KEY_FORMAT 1

#define DPKG_STATUS     "/var/lib/dpkg/status"
#define DPKG_STATUS_MAX (32u << 20)
#define RELEASE_MAX     (16u << 20)

/* ---- the mirror's Release */

/* " CHECKSUM SIZE main/binary-armhf/Packages.xz": the list of an architecture, or of "all". */
static bool is_list_of(const char *line, const char *architecture)
{
        autofree char *own = xasprintf("/binary-%s/Packages", architecture);

        return *line == ' ' && (strstr(line, own) || strstr(line, "/binary-all/Packages"));
}

char *release_digest(const char *text, const char *architectures)
{
        autostrv char **lines = strv_split(text, "\n"), **names = strv_split(architectures, ",");
        struct digest *d = digest_new();
        bool any = false;

        for (char **line = lines; *line; line++)
                for (char **name = names; *name; name++)
                        if (is_list_of(*line, *name)) {
                                digest_add(d, *line, strlen(*line));
                                digest_add(d, "\n", 1);
                                any = true;
                        }
        if (!any)
                digest_add(d, text, strlen(text));
        return digest_end(d);
}

static int is_release(const struct dirent *d)
{
        return str_has_suffix(d->d_name, "_InRelease") || str_has_suffix(d->d_name, "_Release");
}

static struct json_object *read_releases(const char *lists, const char *architectures)
{
        struct json_object *releases = json_object_new_array();
        struct dirent **found = NULL;
        int n = scandir(lists, &found, is_release, alphasort);

        for (int i = 0; i < n; i++) {
                autofree char *path = xasprintf("%s/%s", lists, found[i]->d_name);
                autofree char *text = file_read(path, RELEASE_MAX, NULL, NULL);
                autofree char *digest = text ? release_digest(text, architectures) : NULL;
                struct json_object *release = json_new();

                json_add_string(release, "file", found[i]->d_name);
                json_add_string(release, "packages", digest);
                json_object_array_add(releases, release);
                free(found[i]);
        }
        free(found);
        return releases;
}

/* ---- all of it */

/* "mmdebstrap 1.3.5-7": what of the VM decides what is made. */
static struct json_object *tools(void)
{
        autofree char *status = file_read(DPKG_STATUS, DPKG_STATUS_MAX, NULL, NULL);
        autostrv char **versions = NULL;

        for (const char *const *name = (const char *const[]){"apt", "mmdebstrap", NULL}; status && *name; name++) {
                autofree char *line = xasprintf("\nPackage: %s\n", *name);
                const char *at = strstr(status, line);
                autofree char *version = at ? chroot_value_of(at + 1, "Version: ") : NULL;

                if (version)
                        strv_addf(&versions, "%s %s", *name, version);
        }
        return json_from_strv(versions);
}

/* mmdebstrap(1) also installs files, whose content the name does not tell. */
static bool names_a_file(const struct inputs *in)
{
        for (char *const *name = in->packages; name && *name; name++)
                if (str_has_suffix(*name, ".deb"))
                        return true;
        return false;
}

struct json_object *inputs_describe(const struct inputs *in, const char *lists)
{
        autojson struct json_object *o = json_new(), *releases = read_releases(lists, in->architecture);
        autofree char *keyring = in->keyring ? digest_bytes(in->keyring, in->keyring_size) : NULL;

        if (json_object_array_length(releases) == 0 || names_a_file(in))
                return NULL;
        json_add_u64(o, "format", KEY_FORMAT);
        json_add_string(o, "suite", in->suite);
        json_add_string(o, "architecture", in->architecture);
        json_add_string(o, "variant", in->variant);
        json_add(o, "packages", json_from_strv(in->packages));
        json_add(o, "mirrors", json_from_strv(in->mirrors));
        json_add_string(o, "sources", in->sources);
        json_add_string(o, "keyring", keyring);
        json_add(o, "tools", tools());
        json_add(o, "releases", take_ptr(releases));
        return take_ptr(o);
}

char *inputs_key(struct json_object *description)
{
        const char *text = json_line(description);

        return digest_bytes(text, strlen(text));
}
