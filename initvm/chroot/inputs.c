/* SPDX-License-Identifier: MIT */
#include "chroot/inputs.h"

#include "base/file.h"
#include "base/util.h"
#include "chroot/command_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OS_RELEASE   "/usr/lib/os-release"
#define SOURCES_NAME "debian.sources"
#define SOURCES_FILE "/etc/apt/sources.list.d/" SOURCES_NAME
#define PROXY_FILE   "/etc/apt/apt.conf.d/90proxy"
#define TEXT_MAX     (64u << 10)
#define KEYRING_MAX  (4u << 20)

/* The value of the first line "KEY..." of a text; owned, NULL when there is none. */
static char *first_value(const char *text, const char *key)
{
        autostrv char **lines = text ? strv_split(text, "\n") : NULL;

        for (char **line = lines; line && *line; line++)
                if (str_has_prefix(*line, key))
                        return xstrndup(*line + strlen(key), strcspn(*line + strlen(key), " "));
        return NULL;
}

/* ---- sources of another suite */

/* Suites that Debian neither updates nor secures by further ones: what they get is in them. */
static bool stands_alone(const char *suite)
{
        static const char *const alone[] = {"sid", "unstable", "experimental", "rc-buggy"};

        for (size_t i = 0; i < ARRAY_SIZE(alone); i++)
                if (streq(suite, alone[i]))
                        return true;
        return false;
}

/* "Suites: bookworm bookworm-updates" for another one; owned, NULL when nothing remains. */
static char *suites_line(const char *values, const char *own, const char *suite)
{
        autostrv char **words = strv_split(values, " \t"), **kept = NULL;
        autofree char *joined = NULL;

        for (char **word = words; *word; word++) {
                const char *rest = str_has_prefix(*word, own) ? *word + strlen(own) : NULL;

                if (rest && (*rest == '\0' || (*rest == '-' && !stands_alone(suite))))
                        strv_addf(&kept, "%s%s", suite, rest);
        }
        joined = strv_join(kept, " ");
        return kept ? xasprintf("Suites: %s", joined) : NULL;
}

/* One stanza appended, unless it is for other suites. */
static bool add_stanza(struct buf *b, const char *stanza, const char *own, const char *suite)
{
        autostrv char **lines = strv_split(stanza, "\n");
        autobuf struct buf text = {0};
        bool ours = false;

        for (char **line = lines; *line; line++) {
                bool suites = str_has_prefix(*line, "Suites:");
                autofree char *other = suites ? suites_line(*line + strlen("Suites:"), own, suite) : NULL;

                if (**line != '#' && (!suites || other))
                        buf_printf(&text, "%s\n", suites ? other : *line);
                ours |= other != NULL;
        }
        if (!ours)
                return false;
        buf_append(&text, "\n", 1);
        buf_append(b, buf_head(&text), buf_size(&text));
        return true;
}

char *sources_for_suite(const char *text, const char *own, const char *suite)
{
        autobuf struct buf b = {0};
        bool any = false;

        for (const char *at = text, *end; *at; at = end) {
                autofree char *stanza = NULL;

                end = strstr(at, "\n\n");
                end = end ? end + 2 : at + strlen(at);
                stanza = xstrndup(at, (size_t)(end - at));
                any |= add_stanza(&b, stanza, own, suite);
        }
        return any ? buf_take_string(&b) : NULL;
}

/* ---- what the options mean */

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **sorted_once(char *const *names)
{
        size_t n = strv_length(names);
        autofree const char **sorted = xcalloc(n + 1, sizeof(*sorted));
        char **once = NULL;

        for (size_t i = 0; i < n; i++)
                sorted[i] = names[i];
        qsort(sorted, n, sizeof(*sorted), compare);
        for (size_t i = 0; i < n; i++)
                if (i == 0 || !streq(sorted[i], sorted[i - 1]))
                        strv_add(&once, sorted[i]);
        return once;
}

/* Where packages come from when nobody has named a mirror. */
static void own_sources(struct inputs *in, const char *own)
{
        autofree char *text = file_read(SOURCES_FILE, TEXT_MAX, NULL, NULL), *mirror = NULL;

        if (text && own)
                in->sources = streq(own, in->suite) ? xstrdup(text) : sources_for_suite(text, own, in->suite);
        mirror = in->sources ? NULL : first_value(text, "URIs: ");
        if (mirror)
                strv_push(&in->mirrors, take_ptr(mirror));
}

static int check(const struct inputs *in, struct error *err)
{
        if (!in->suite)
                return error_set(err, ERR_INVALID, "name a suite with --suite: the VM's " OS_RELEASE " does not");
        if (in->suite[0] == '-' || in->architecture[0] == '-')
                return error_set(err, ERR_INVALID, "neither a suite nor an architecture begins with '-'");
        return 0;
}

int inputs_read(struct inputs *in, const struct chroot_command *c, struct error *err)
{
        autofree char *release = file_read(OS_RELEASE, TEXT_MAX, NULL, NULL);
        autofree char *own = first_value(release, "VERSION_CODENAME=");
        autojson struct json_object *machine = chroot_look_at("/");

        *in = (struct inputs){
                .suite = c->suite || own ? xstrdup(c->suite ? c->suite : own) : NULL,
                .architecture = xstrdup(c->architecture ? c->architecture : json_get_string(machine, "architecture", "")),
                .variant = xstrdup(c->variant ? c->variant : VARIANT_DEFAULT),
                .packages = sorted_once(c->packages),
        };
        if (check(in, err) < 0)
                return -1;
        for (char *const *m = c->mirrors; m && *m; m++)
                strv_add(&in->mirrors, *m);
        if (!in->mirrors)
                own_sources(in, own);
        if (!c->keyring)
                return 0;
        in->keyring = file_read("/dev/stdin", KEYRING_MAX, &in->keyring_size, err);
        return in->keyring ? 0 : error_prefix(err, "the keyring");
}

void inputs_done(struct inputs *in)
{
        free(in->suite);
        free(in->architecture);
        free(in->variant);
        strv_free(in->packages);
        strv_free(in->mirrors);
        free(in->sources);
        free(in->keyring);
        *in = (struct inputs){0};
}

/* ---- for mmdebstrap */

/* The keyring's name tells apt the format. */
int inputs_add_options(const struct inputs *in, const char *folder, char ***argv, struct error *err)
{
        autofree char *path = NULL;

        strv_addf(argv, "--architectures=%s", in->architecture);
        if (access(PROXY_FILE, R_OK) == 0)
                strv_add(argv, "--aptopt=" PROXY_FILE);
        if (!in->keyring)
                return 0;
        path = xasprintf("%s/keyring.%s", folder, str_has_prefix(in->keyring, "-----BEGIN PGP") ? "asc" : "gpg");
        strv_addf(argv, "--keyring=%s", path);
        return file_write_atomic(path, 0644, in->keyring, in->keyring_size, err);
}

int inputs_add_sources(const struct inputs *in, const char *folder, char ***argv, struct error *err)
{
        autofree char *path = NULL;

        for (char *const *m = in->mirrors; m && *m; m++)
                strv_add(argv, *m);
        if (!in->sources)
                return 0;
        path = xasprintf("%s/" SOURCES_NAME, folder); /* in the chroot it has the same name */
        strv_add(argv, path);
        return file_write_atomic(path, 0644, in->sources, strlen(in->sources), err);
}

void inputs_add_record(const struct inputs *in, struct json_object *record)
{
        autofree char *mirror = in->mirrors ? xstrdup(in->mirrors[0]) : first_value(in->sources, "URIs: ");

        json_add_string(record, "architecture", in->architecture);
        json_add_string(record, "suite", in->suite);
        json_add_string(record, "variant", in->variant);
        if (in->packages)
                json_add(record, "packages", json_from_strv(in->packages));
        json_add_string(record, "mirror", mirror);
}
