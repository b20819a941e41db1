/* SPDX-License-Identifier: MIT */
/* Where packages come from: the installer's choose-mirror (mirror/...) and apt-setup. */
#include "provision/plan.h"

#include "base/util.h"

#include <stdlib.h>
#include <string.h>

/* apt-setup asks for local0, local1, ... and stops at the first that is missing; so many are enough for anybody. */
#define LOCAL_MAX 10

/* What may stand in a URL of sources.list(5): no blank, no quote, nothing that needs quoting. */
#define URL_CHARACTERS ":/.-_~%+@=,;&?[]#!$()*"

static struct plan_source *add_source(struct plan *plan, const char *name, const char *uri, const char *suite)
{
        struct plan_source *s;

        plan->sources = xrealloc(plan->sources, plan->n_sources + 1, sizeof(*plan->sources));
        s = &plan->sources[plan->n_sources++];
        *s = (struct plan_source){.name = xstrdup(name), .uri = xstrdup(uri), .suite = xstrdup(suite)};
        return s;
}

bool plan_url_valid(const char *s)
{
        const char *host = str_has_prefix(s, "http://") ? s + 7 : str_has_prefix(s, "https://") ? s + 8 : "";

        return *host != '\0' && *host != '/' && !s[strcspn(s, " \t\r\n\"'\\")];
}

static void strip_slashes(char *url)
{
        for (size_t n = strlen(url); n > 0 && url[n - 1] == '/';)
                url[--n] = '\0';
}

/* The main mirror: what the caller said, else the preseed's, else the image's. */
static int read_mirror(struct plan *plan, struct preseed *p, const char *override, char **ret, struct error *err)
{
        autofree char *protocol = plan_string(p, "mirror/protocol");
        const char *scheme = protocol ? protocol : "http";
        autofree char *q_host = xasprintf("mirror/%s/hostname", scheme), *q_directory = xasprintf("mirror/%s/directory", scheme);
        autofree char *q_proxy = xasprintf("mirror/%s/proxy", scheme);
        autofree char *host = plan_string(p, q_host), *directory = plan_string(p, q_directory);

        preseed_mark(p, "mirror/country", true);
        if (protocol && !streq(protocol, "http") && !streq(protocol, "https"))
                return plan_unsupported(p, preseed_find(p, NULL, "mirror/protocol"), err, "a mirror other than http or https");
        plan->proxy = plan_string(p, q_proxy);
        if (plan_check_characters(p, q_proxy, plan->proxy, URL_CHARACTERS, err) < 0 ||
            plan_check_characters(p, q_host, host, ".-:[]", err) < 0 ||
            plan_check_characters(p, q_directory, directory, URL_CHARACTERS, err) < 0)
                return -1;
        if (plan->proxy && !plan_url_valid(plan->proxy))
                return preseed_invalid(p, preseed_find(p, NULL, q_proxy), err, "'%s' is not a URL such as http://proxy:3128/",
                                       plan->proxy);
        if (override) {
                if (!plan_url_valid(override))
                        return error_set(err, ERR_INVALID, "the mirror '%s' is not a URL that begins with http:// or https://",
                                         override);
                *ret = xstrdup(override);
        } else if (host) {
                const char *path = directory ? directory : "/debian";
                *ret = xasprintf("%s://%s%s%s", scheme, host, path[0] == '/' ? "" : "/", path);
        } else {
                *ret = xstrdup(plan->image->main.uri);
        }
        strip_slashes(*ret);
        return 0;
}

/* The installer would install another suite than the image says; only names that mean the same are fine. */
static int check_suite(struct plan *plan, struct preseed *p, struct error *err)
{
        autofree char *suite = plan_string(p, "mirror/suite");

        if (!suite || streq(suite, plan->image->suite) || streq(suite, "stable") || streq(suite, "oldstable"))
                return 0;
        return error_set(
                err, ERR_UNSUPPORTED,
                "%s:%u: 'mirror/suite' asks for '%s', but the image '%s' is %s: choose another image, or remove the line",
                p->filename, preseed_find(p, NULL, "mirror/suite")->line, suite, plan->image->name, plan->image->suite);
}

/* contrib, non-free, non-free-firmware: added or taken away when asked, else as the image has it. */
static int read_components(struct preseed *p, char *const *base, char ***ret, struct error *err)
{
        static const struct {
                const char *question, *component;
        } table[] = {
                {"apt-setup/contrib", "contrib"},
                {"apt-setup/non-free", "non-free"},
                {"apt-setup/non-free-firmware", "non-free-firmware"},
        };

        for (size_t i = 0; base && base[i]; i++) {
                bool optional = false;
                for (size_t k = 0; k < ARRAY_SIZE(table); k++)
                        optional |= streq(base[i], table[k].component);
                if (!optional)
                        strv_add(ret, base[i]);
        }
        for (size_t k = 0; k < ARRAY_SIZE(table); k++) {
                bool wanted = strv_contains(base, table[k].component);

                if (preseed_bool(p, table[k].question, &wanted, err) < 0)
                        return -1;
                if (wanted)
                        strv_add(ret, table[k].component);
        }
        return 0;
}

static int read_services(struct plan *plan, struct preseed *p, const char *mirror, bool with_sources, struct error *err)
{
        autostrv char **services = NULL;
        autofree char *host = plan_string(p, "apt-setup/security_host");
        int given = preseed_list(p, "apt-setup/services-select", &services, err);
        const struct image *image = plan->image;
        const struct {
                const char *name;
                const struct image_mirror *mirror;
        } parts[] = {{"main", &image->main},
                     {"updates", &image->updates},
                     {"security", &image->security},
                     {"backports", &image->backports}};

        if (given < 0 || plan_check_characters(p, "apt-setup/security_host", host, ".-:[]", err) < 0)
                return -1;
        if (!given) {
                strv_add(&services, "security");
                strv_add(&services, "updates");
        }
        for (char **s = services; s && *s; s++)
                if (!streq(*s, "security") && !streq(*s, "updates") && !streq(*s, "backports"))
                        return preseed_invalid(p, preseed_find(p, NULL, "apt-setup/services-select"), err,
                                               "there is no service '%s'; there are security, updates, backports", *s);
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
                const struct image_mirror *m = parts[i].mirror;
                bool main = i == 0, security = streq(parts[i].name, "security");
                autofree char *uri = NULL;
                struct plan_source *s;

                if (!m->uri || (!main && !strv_contains(services, parts[i].name)))
                        continue;
                if (security && host) /* with the path that debian-installer adds (apt-setup, generators/91security) */
                        uri = xasprintf("%.*s%s/debian-security", (int)(strstr(m->uri, "://") + 3 - m->uri), m->uri, host);
                /* Updates and backports come from where the main part comes from, unless the image has them elsewhere. */
                else
                        uri = xstrdup(security || !streq(m->uri, image->main.uri) ? m->uri : mirror);
                if (main) {
                        free(uri);
                        uri = xstrdup(mirror);
                }
                s = add_source(plan, parts[i].name, uri, m->suite);
                s->with_sources = with_sources;
                if (read_components(p, m->components, &s->components, err) < 0)
                        return -1;
        }
        return 0;
}

/* "URI SUITE [COMPONENT...]", with a "deb" before it or without. */
static int read_local(struct plan *plan, struct preseed *p, unsigned number, struct error *err)
{
        autofree char *name = xasprintf("local%u", number);
        autofree char *q_repository = xasprintf("apt-setup/%s/repository", name), *q_key = xasprintf("apt-setup/%s/key", name);
        autofree char *q_comment = xasprintf("apt-setup/%s/comment", name), *q_source = xasprintf("apt-setup/%s/source", name);
        autofree char *repository = plan_string(p, q_repository);
        const struct preseed_entry *e = preseed_find(p, NULL, q_repository);
        autostrv char **fields = NULL;
        struct plan_source *s;
        size_t skip;

        if (!repository)
                return 0;
        fields = strv_split(repository, " \t");
        skip = streq(fields[0], "deb") ? 1 : 0;
        if (strv_length(fields) < skip + 2)
                return preseed_invalid(p, e, err, "a repository is written as URL SUITE COMPONENT..., not '%s'", repository);
        if (!plan_url_valid(fields[skip]))
                return preseed_invalid(p, e, err, "'%s' does not begin with http:// or https://", fields[skip]);
        if (strv_length(fields) == skip + 2 && !str_has_suffix(fields[skip + 1], "/"))
                return preseed_invalid(p, e, err, "a component is missing after '%s'", fields[skip + 1]);
        if (plan_check_characters(p, q_repository, repository, URL_CHARACTERS " \t", err) < 0)
                return -1;
        s = add_source(plan, name, fields[skip], fields[skip + 1]);
        s->local = true;
        s->line = e->line;
        for (size_t i = skip + 2; fields[i]; i++)
                strv_add(&s->components, fields[i]);
        s->comment = plan_string(p, q_comment);
        s->key = plan_string(p, q_key);
        if (s->key && !plan_url_valid(s->key) && !str_has_prefix(s->key, "file:///"))
                return preseed_invalid(p, preseed_find(p, NULL, q_key), err, "'%s' is not a URL", s->key);
        return preseed_bool(p, q_source, &s->with_sources, err) < 0 ? -1 : 0;
}

int plan_read_apt(struct plan *plan, struct preseed *p, const struct plan_overrides *o, struct error *err)
{
        autofree char *mirror = NULL;
        bool with_sources = true; /* apt-setup's default */

        if (read_mirror(plan, p, o->mirror, &mirror, err) < 0 || check_suite(plan, p, err) < 0 ||
            preseed_bool(p, "apt-setup/enable-source-repositories", &with_sources, err) < 0 ||
            preseed_bool(p, "debian-installer/allow_unauthenticated", &plan->allow_unsigned, err) < 0 ||
            read_services(plan, p, mirror, with_sources, err) < 0)
                return -1;
        for (unsigned i = 0; i < LOCAL_MAX; i++)
                if (read_local(plan, p, i, err) < 0)
                        return -1;
        return 0;
}

char *plan_sources_text(const struct plan *plan, bool local, char *const *signed_by)
{
        autobuf struct buf b = {0};

        for (size_t i = 0; i < plan->n_sources; i++) {
                const struct plan_source *s = &plan->sources[i];
                autofree char *components = strv_join(s->components, " ");

                if (s->local != local)
                        continue;
                if (s->comment)
                        buf_printf(&b, "# %s\n", s->comment);
                buf_printf(&b, "Types: deb%s\nURIs: %s\nSuites: %s\n", s->with_sources ? " deb-src" : "", s->uri, s->suite);
                if (*components)
                        buf_printf(&b, "Components: %s\n", components);
                if (plan->allow_unsigned)
                        buf_printf(&b, "Trusted: yes\n");
                buf_printf(&b, "Signed-By: %s\n\n", signed_by[i]);
        }
        return buf_take_string(&b);
}
