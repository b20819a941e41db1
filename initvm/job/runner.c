/* SPDX-License-Identifier: MIT */
#include "job/runner.h"

#include "base/project.h"
#include "base/util.h"
#include "job/package.h"
#include "job/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- what is done before */

static int install_packages(struct place *p, struct error *err)
{
        autostrv char **argv = NULL;

        if (!p->spec->packages)
                return 0;
        for (const char *const *word = package_apt_install; *word; word++)
                strv_add(&argv, *word);
        for (char **name = p->spec->packages; *name; name++)
                strv_add(&argv, *name);
        return package_apt_update(p, err) < 0 ? -1 : package_step(p, argv, "the packages could not be installed", err);
}

static int prepare(const struct job *job, const struct spec *spec, const char *what, struct place *ret, struct error *err)
{
        autofree char *text = xasprintf("%s %s", what, job->id);

        if (place_open(job, spec, text, ret, err) < 0)
                return -1;
        return install_packages(ret, err);
}

/* ---- the command */

static char **argv_of(const struct place *p)
{
        const struct spec *spec = p->spec;
        char **argv = NULL;

        if (spec->script && !str_has_prefix(spec->script, "#!")) {
                strv_add(&argv, "/bin/sh");
                strv_add(&argv, "-e");
        }
        if (spec->script)
                strv_add(&argv, p->script);
        for (char **word = spec->command; word && *word; word++)
                strv_add(&argv, *word);
        return argv;
}

static int run(struct place *p, int *ret_wait_status, struct error *err)
{
        const struct spec *spec = p->spec;
        autostrv char **argv = argv_of(p);
        const struct place_command c = {
                .argv = argv, .user = spec->user, .environment = spec->environment, .network = spec->network};

        if (!argv)
                return package_build(p, ret_wait_status, err);
        return place_give_workspace(p, spec->user, err) < 0 ? -1 : place_run(p, &c, ret_wait_status, err);
}

void runner_run(const struct job *job, const struct spec *spec, int fd)
{
        autoplace struct place p = PLACE_INIT;
        struct runner_report report = {0};
        struct error err = ERROR_INIT;

        if (prepare(job, spec, "job", &p, &err) < 0 || run(&p, &report.wait_status, &err) < 0) {
                report.code = err.code;
                snprintf(report.message, sizeof(report.message), "%.*s", RUNNER_MESSAGE_MAX - 1, err.message);
        }
        report.disk = project_usage(job->work, project_of(job->work));
        if (write(fd, &report, sizeof(report)) < 0)
                return; /* the keeper has ended, and so shall we */
}

int runner_run_other(const struct job *job, const struct spec *spec, char *const *argv, bool terminal, int *ret_wait_status,
                     struct error *err)
{
        autoplace struct place p = PLACE_INIT;
        autostrv char **environment = NULL;
        const char *term = getenv("TERM");

        for (char **e = spec->environment; e && *e; e++)
                strv_add(&environment, *e);
        if (terminal && term)
                strv_addf(&environment, "TERM=%s", term);
        const struct place_command c = {.argv = argv && *argv ? argv : NULL,
                                        .user = spec->user,
                                        .environment = environment,
                                        .network = spec->network,
                                        .terminal = terminal};
        return prepare(job, spec, "job run", &p, err) < 0 ? -1 : place_run(&p, &c, ret_wait_status, err);
}
