/* SPDX-License-Identifier: MIT */
#include "provision/udebs.h"

#include "base/util.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_PREFIX "kernel-image-"
#define KERNEL_SUFFIX "-di"

struct udeb {
        char *name, *version, *kernel, *depends;
        bool standard; /* of such a priority that it is fetched by itself */
        bool wanted;
};

struct list {
        struct udeb *udebs;
        size_t n;
};

static void list_done(struct list *list)
{
        for (size_t i = 0; i < list->n; i++) {
                free(list->udebs[i].name);
                free(list->udebs[i].version);
                free(list->udebs[i].kernel);
                free(list->udebs[i].depends);
        }
        free(list->udebs);
}

static struct udeb *list_find(const struct list *list, const char *name)
{
        for (size_t i = 0; name && i < list->n; i++)
                if (streq(list->udebs[i].name, name))
                        return &list->udebs[i];
        return NULL;
}

/* The value of "NAME: VALUE" when the line is that, owned. */
static char *field(const char *line, const char *name)
{
        size_t n = strlen(name);

        if (strncasecmp(line, name, n) != 0 || line[n] != ':')
                return NULL;
        line += n + 1;
        return xstrdup(line + strspn(line, " \t"));
}

static void take(char **slot, char *owned)
{
        if (!owned)
                return;
        free(*slot);
        *slot = owned;
}

/* One line of a stanza (deb822(5)); continuations are of no interest here. */
static void read_line(struct udeb *u, const char *line)
{
        autofree char *priority = field(line, "Priority");

        take(&u->name, field(line, "Package"));
        take(&u->version, field(line, "Version"));
        take(&u->kernel, field(line, "Kernel-Version"));
        take(&u->depends, field(line, "Depends"));
        if (priority)
                u->standard = streq(priority, "required") || streq(priority, "important") || streq(priority, "standard");
}

static void list_add(struct list *list, struct udeb *u)
{
        if (u->name && u->version) {
                list->udebs = xrealloc(list->udebs, list->n + 1, sizeof(*list->udebs));
                list->udebs[list->n++] = *u;
        } else {
                struct list rest = {.udebs = xcalloc(1, sizeof(*u)), .n = 1};

                rest.udebs[0] = *u;
                list_done(&rest);
        }
        *u = (struct udeb){0};
}

static void list_read(struct list *list, const char *text)
{
        struct udeb u = {0};

        while (*text) {
                size_t n = strcspn(text, "\n");
                autofree char *line = xstrndup(text, n);

                if (n == 0)
                        list_add(list, &u);
                else
                        read_line(&u, line);
                text += n + (text[n] == '\n');
        }
        list_add(list, &u);
}

/* Which kernel the installer has: its package is in the initrd. */
static char *kernel_of(const struct list *installed)
{
        for (size_t i = 0; i < installed->n; i++) {
                const char *name = installed->udebs[i].name;

                if (str_has_prefix(name, KERNEL_PREFIX) && str_has_suffix(name, KERNEL_SUFFIX))
                        return xstrndup(name + strlen(KERNEL_PREFIX),
                                        strlen(name) - strlen(KERNEL_PREFIX) - strlen(KERNEL_SUFFIX));
        }
        return NULL;
}

static bool fits(const struct udeb *u, const char *kernel)
{
        return !u->kernel || streq(u->kernel, kernel);
}

static void want(const struct list *index, const struct list *installed, struct udeb *u, const char *kernel);

/* "a, b (>= 1) | c, d": of alternatives the first that the index has. */
static void want_depends(const struct list *index, const struct list *installed, const char *depends, const char *kernel)
{
        autostrv char **all = depends ? strv_split(depends, ",") : NULL;

        for (char **d = all; d && *d; d++) {
                autostrv char **alternatives = strv_split(*d, "|");

                for (char **a = alternatives; a && *a; a++) {
                        const char *start = *a + strspn(*a, " \t");
                        autofree char *name = xstrndup(start, strcspn(start, " \t(:"));
                        struct udeb *u = list_find(index, name);

                        if (!u)
                                continue;
                        want(index, installed, u, kernel);
                        break;
                }
        }
}

static void want(const struct list *index, const struct list *installed, struct udeb *u, const char *kernel)
{
        const struct udeb *old = list_find(installed, u->name);

        if (u->wanted || !fits(u, kernel) || (old && streq(old->version, u->version)))
                return;
        u->wanted = true;
        want_depends(index, installed, u->depends, kernel);
}

/* "6.12.94+deb13-amd64, 6.12.107+deb13-amd64": for which the index has components. */
static char *kernels_of(const struct list *index)
{
        autostrv char **names = NULL;

        for (size_t i = 0; i < index->n; i++)
                if (index->udebs[i].kernel && !strv_contains(names, index->udebs[i].kernel))
                        strv_add(&names, index->udebs[i].kernel);
        return names ? strv_join(names, ", ") : xstrdup("none");
}

int udebs_read(struct udebs *ret, const char *index_text, const char *installed_text, struct error *err)
{
        struct list index = {0}, installed = {0};
        struct udebs u = {0};
        bool known = false;
        int result = -1;

        list_read(&index, index_text);
        list_read(&installed, installed_text);
        u.kernel = kernel_of(&installed);
        for (size_t i = 0; u.kernel && i < index.n; i++)
                known |= streq(index.udebs[i].kernel, u.kernel);
        if (!u.kernel) {
                error_set(err, ERR_INVALID, "the installer's initrd does not say which kernel it is for");
        } else if (!known) {
                autofree char *kernels = kernels_of(&index);

                error_set(err, ERR_UNSUPPORTED, "the mirror has no components for the installer's kernel %s, but for: %s",
                          u.kernel, kernels);
        } else {
                for (size_t i = 0; i < index.n; i++)
                        if (index.udebs[i].standard || list_find(&installed, index.udebs[i].name))
                                want(&index, &installed, &index.udebs[i], u.kernel);
                for (size_t i = 0; i < index.n; i++)
                        if (index.udebs[i].wanted)
                                strv_add(&u.wanted, index.udebs[i].name);
                *ret = u;
                u = (struct udebs){0};
                result = 0;
        }
        udebs_done(&u);
        list_done(&index);
        list_done(&installed);
        return result;
}

void udebs_done(struct udebs *u)
{
        free(u->kernel);
        strv_free(u->wanted);
        *u = (struct udebs){0};
}
