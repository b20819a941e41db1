/* SPDX-License-Identifier: MIT */
#include "job/package.h"

#include "base/process.h"
#include "base/util.h"

#include <unistd.h>

/* The folder that a source package is unpacked to, in the workspace. */
#define SOURCE "source"

/* What every Debian system has, and what owns nothing in it. */
#define BUILDER "nobody"

const char *const package_apt_install[] = {"apt-get", "install", "--yes", "--no-install-recommends", "--", NULL};

int package_step(struct place *p, char *const *argv, const char *failed, struct error *err)
{
        static char frontend[] = "DEBIAN_FRONTEND=noninteractive", *environment[] = {frontend, NULL};
        const struct place_command c = {.argv = argv, .environment = environment, .network = true};
        autofree char *words = strv_join(argv, " ");
        int wait_status = 0;

        dprintf(STDOUT_FILENO, "initvm: %s\n", words);
        if (place_run(p, &c, &wait_status, err) < 0)
                return -1;
        if (wait_status == 0)
                return 0;
        return error_set(err, ERR_FAILED, "%s: '%s' ended with %s; the log says why", failed, words,
                         process_status_text(wait_status));
}

int package_apt_update(struct place *p, struct error *err)
{
        static char apt[] = "apt-get", update[] = "update", *argv[] = {apt, update, NULL};

        return package_step(p, argv, "the lists of packages could not be read", err);
}

static int install_tools(struct place *p, struct error *err)
{
        autostrv char **argv = NULL;

        for (const char *const *word = package_apt_install; *word; word++)
                strv_add(&argv, *word);
        strv_add(&argv, "build-essential");
        strv_add(&argv, "fakeroot"); /* for sources whose Rules-Requires-Root does not say 'no' */
        return package_step(p, argv, "what builds packages could not be installed", err);
}

static int install_dependencies(struct place *p, const char *folder, struct error *err)
{
        autostrv char **argv = NULL;

        for (const char *const *word =
                     (const char *const[]){"apt-get", "build-dep", "--yes", "--no-install-recommends", "--", NULL};
             *word; word++)
                strv_add(&argv, *word);
        strv_addf(&argv, "./%s", folder); /* a name without a slash would be a package of the archive */
        return package_step(p, argv, "the build dependencies could not be installed", err);
}

/* As the builder. */
static int build_step(struct place *p, const char *const *words, const char *cwd, bool network, int *ret_wait_status,
                      struct error *err)
{
        autostrv char **argv = NULL;
        autofree char *text = NULL;
        const char *user = p->spec->user ? p->spec->user : BUILDER;

        for (; *words; words++)
                strv_add(&argv, *words);
        text = strv_join(argv, " ");
        dprintf(STDOUT_FILENO, "initvm: %s\n", text);
        const struct place_command c = {
                .argv = argv, .user = user, .cwd = cwd, .environment = p->spec->environment, .network = network};
        return place_run(p, &c, ret_wait_status, err);
}

int package_build(struct place *p, int *ret_wait_status, struct error *err)
{
        const struct spec *spec = p->spec;
        const char *folder = spec->package_folder ? spec->package_folder : SOURCE;
        autofree char *path = xasprintf("%s/%s", p->work, folder);

        *ret_wait_status = 0;
        if (package_apt_update(p, err) < 0 || install_tools(p, err) < 0 ||
            place_give_workspace(p, spec->user ? spec->user : BUILDER, err) < 0)
                return -1;
        if (spec->package_dsc && build_step(p, (const char *const[]){"dpkg-source", "--extract", spec->package_dsc, SOURCE, NULL},
                                            NULL, false, ret_wait_status, err) < 0)
                return -1;
        if (*ret_wait_status != 0)
                return 0;
        if (install_dependencies(p, folder, err) < 0)
                return -1;
        return build_step(p, (const char *const[]){"dpkg-buildpackage", "-us", "-uc", "-b", NULL}, path, spec->network,
                          ret_wait_status, err);
}
