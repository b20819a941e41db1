/* SPDX-License-Identifier: MIT */
#include "job/spec.h"

#include "base/util.h"
#include "job/job.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* systemd takes a CPUQuota= of one percent as the smallest. More CPUs than that no machine has. */
#define CPUS_MIN 0.01
#define CPUS_MAX 4096.0

/* What a build of a package leaves beside its source: dpkg-genchanges(1), dpkg-genbuildinfo(1). */
static const char *const package_artifacts[] = {"*.deb", "*.udeb", "*.ddeb", "*.changes", "*.buildinfo"};

static int read_cpus(struct json_object *o, unsigned *ret_percent, struct error *err)
{
        double cpus = json_object_get_double(o);

        if (!json_object_is_type(o, json_type_double) && !json_object_is_type(o, json_type_int))
                return error_set(err, ERR_INVALID, "'limits.cpus' must be a number");
        if (!(cpus >= CPUS_MIN && cpus <= CPUS_MAX))
                return error_set(err, ERR_INVALID, "'limits.cpus' must be between %g and %g", CPUS_MIN, CPUS_MAX);
        *ret_percent = (unsigned)(cpus * 100 + 0.5);
        return 0;
}

static int read_limits(struct json_object *o, struct spec *s, struct error *err)
{
        struct json_object *cpus = NULL;
        const struct json_field fields[] = {
                {"timeout", JSON_FIELD_U64, 0, &s->timeout_ms}, {"silenceTimeout", JSON_FIELD_U64, 0, &s->silence_ms},
                {"memory", JSON_FIELD_U64, 0, &s->memory},      {"cpus", JSON_FIELD_ANY, 0, &cpus},
                {"disk", JSON_FIELD_U64, 0, &s->disk},          {"log", JSON_FIELD_U64, 0, &s->log}};

        if (json_read_lenient(o, fields, ARRAY_SIZE(fields), err) < 0)
                return error_prefix(err, "'limits'");
        return cpus ? read_cpus(cpus, &s->cpu_percent, err) : 0;
}

static int read_environment(struct json_object *o, struct spec *s, struct error *err)
{
        json_object_object_foreach (o, key, value) {
                if (!json_object_is_type(value, json_type_string))
                        return error_set(err, ERR_INVALID, "'environment.%s' must be a string", key);
                if (!*key || strchr(key, '='))
                        return error_set(err, ERR_INVALID, "'%s' cannot be the name of a variable", key);
                strv_addf(&s->environment, "%s=%s", key, json_object_get_string(value));
        }
        return 0;
}

/* It stands in the workspace, and its name goes to programs as an argument. */
static int check_name(const char *key, const char *name, struct error *err)
{
        if (!name || (*name && name[0] != '-' && name[0] != '.' && !strchr(name, '/')))
                return 0;
        return error_set(err, ERR_INVALID, "'package.%s' must be a name in the workspace, and not '%s'", key, name);
}

static int read_package(struct json_object *o, struct spec *s, struct error *err)
{
        const struct json_field fields[] = {{"dsc", JSON_FIELD_STRING, 0, &s->package_dsc},
                                            {"folder", JSON_FIELD_STRING, 0, &s->package_folder}};

        if (json_read_lenient(o, fields, ARRAY_SIZE(fields), err) < 0)
                return error_prefix(err, "'package'");
        if (!s->package_dsc == !s->package_folder)
                return error_set(err, ERR_INVALID, "'package' must have one of 'dsc' and 'folder'");
        return check_name("dsc", s->package_dsc, err) < 0 ? -1 : check_name("folder", s->package_folder, err);
}

static int check(struct spec *s, struct error *err)
{
        bool package = s->package_dsc || s->package_folder;

        if ((s->command != NULL) + (s->script != NULL) + package != 1)
                return error_set(err, ERR_INVALID, "a job has one of 'command', 'script' and 'package'");
        if (!s->chroot && (package || s->packages))
                return error_set(err, ERR_INVALID, "'%s' needs a 'chroot': the machine itself is not changed",
                                 package ? "package" : "packages");
        for (char **p = s->packages; p && *p; p++)
                if (**p == '-' || !**p)
                        return error_set(err, ERR_INVALID, "'%s' is not a package's name", *p);
        if (package && !s->artifacts) {
                for (size_t i = 0; i < ARRAY_SIZE(package_artifacts); i++)
                        strv_add(&s->artifacts, package_artifacts[i]);
                s->allow_empty = true; /* no source has all of them */
        }
        return 0;
}

/* NULL for an empty one as well. */
static char **to_strv(struct json_object *array)
{
        return array && json_object_array_length(array) > 0 ? json_to_strv(array) : NULL;
}

static int read_all(struct spec *s, struct error *err)
{
        struct json_object *command = NULL, *package = NULL, *environment = NULL, *packages = NULL, *artifacts = NULL,
                           *limits = NULL;
        const struct json_field fields[] = {{"name", JSON_FIELD_STRING, 0, &s->name},
                                            {"command", JSON_FIELD_STRINGS, 0, &command},
                                            {"script", JSON_FIELD_STRING, 0, &s->script},
                                            {"package", JSON_FIELD_OBJECT, 0, &package},
                                            {"chroot", JSON_FIELD_STRING, 0, &s->chroot},
                                            {"user", JSON_FIELD_STRING, 0, &s->user},
                                            {"environment", JSON_FIELD_OBJECT, 0, &environment},
                                            {"packages", JSON_FIELD_STRINGS, 0, &packages},
                                            {"artifacts", JSON_FIELD_STRINGS, 0, &artifacts},
                                            {"allowEmpty", JSON_FIELD_BOOL, 0, &s->allow_empty},
                                            {"limits", JSON_FIELD_OBJECT, 0, &limits},
                                            {"network", JSON_FIELD_BOOL, 0, &s->network},
                                            {"inputs", JSON_FIELD_BOOL, 0, &s->inputs}};

        if (json_read_lenient(s->json, fields, ARRAY_SIZE(fields), err) < 0)
                return -1;
        s->command = to_strv(command);
        s->packages = to_strv(packages);
        s->artifacts = to_strv(artifacts);
        if ((limits && read_limits(limits, s, err) < 0) || (package && read_package(package, s, err) < 0) ||
            (environment && read_environment(environment, s, err) < 0))
                return -1;
        return check(s, err);
}

int spec_read(struct json_object *owned, struct spec *ret, struct error *err)
{
        struct spec s = {.json = owned, .name = "", .network = true, .log = SPEC_LOG_DEFAULT};

        if (!owned)
                return error_prefix(err, "the job's description");
        if (!json_object_is_type(owned, json_type_object))
                error_set(err, ERR_INVALID, "it is not an object");
        else if (read_all(&s, err) == 0) {
                *ret = s;
                return 0;
        }
        spec_done(&s);
        return error_prefix(err, "the job's description");
}

void spec_done(struct spec *s)
{
        json_object_put(s->json);
        strv_free(s->command);
        strv_free(s->environment);
        strv_free(s->packages);
        strv_free(s->artifacts);
        *s = (struct spec){0};
}

int spec_of(const struct job *job, struct spec *ret, struct error *err)
{
        return spec_read(job_read(job, JOB_SPEC, err), ret, err);
}
