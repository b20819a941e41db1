/* SPDX-License-Identifier: MIT */
#include "wire/job_spec.h"

#include "base/util.h"

#include <json-c/json.h>
#include <string.h>

static bool printable(const char *s)
{
        size_t n = strlen(s), size;

        for (size_t at = 0; at < n; at += size) {
                size = utf8_length(s + at, n - at);
                if (size == 0 || (size == 1 && ((unsigned char)s[at] < 0x20 || s[at] == 0x7f)))
                        return false;
        }
        return n > 0;
}

/* Words that become arguments of programs in the guest: nothing that could be taken for an option. */
static bool is_word(const char *s)
{
        return printable(s) && s[0] != '-' && !strpbrk(s, " \t/");
}

static int check_word(const char *field, const char *value, struct error *err)
{
        if (value && !is_word(value))
                return error_set(err, ERR_INVALID, "'%s' cannot be '%s': it must be one word that does not begin with '-'", field,
                                 value);
        return 0;
}

/* Each of an array of strings, by a rule that `rule` puts in words. */
static int check_each(const char *field, struct json_object *array, bool (*good)(const char *), const char *rule,
                      struct error *err)
{
        size_t n = array ? json_object_array_length(array) : 0;

        if (n > JOB_WORDS_MAX)
                return error_set(err, ERR_INVALID, "'%s' has more than %u entries", field, JOB_WORDS_MAX);
        for (size_t i = 0; i < n; i++) {
                const char *s = json_object_get_string(json_object_array_get_idx(array, i));

                if (!good(s))
                        return error_set(err, ERR_INVALID, "'%s' cannot have '%s': %s", field, s, rule);
        }
        return 0;
}

static bool is_label(const char *s)
{
        return printable(s) && strlen(s) <= JOB_LABEL_MAX;
}

static bool is_package(const char *s)
{
        return is_word(s);
}

static bool is_path(const char *s)
{
        return *s != '\0';
}

/* Relative, and never through "..": the guest looks again. */
static bool is_glob(const char *s)
{
        autostrv char **parts = strv_split(s, "/");

        return *s && *s != '/' && !strv_contains(parts, "..");
}

static int read_command(struct json_object *command, struct error *err)
{
        if (json_object_array_length(command) == 0 || !*json_object_get_string(json_object_array_get_idx(command, 0)))
                return error_set(err, ERR_INVALID, "'command' names no program");
        return 0;
}

static int read_package(struct json_object *package, struct job_spec *s, struct error *err)
{
        const struct json_field fields[] = {
                {"dsc", JSON_FIELD_STRING, 0, &s->dsc},
                {"folder", JSON_FIELD_STRING, 0, &s->folder},
        };
        const char *name;

        if (json_read(package, fields, ARRAY_SIZE(fields), err) < 0)
                return error_prefix(err, "'package'");
        if ((s->dsc != NULL) + (s->folder != NULL) != 1)
                return error_set(err, ERR_INVALID, "'package' must have either 'dsc' or 'folder'");
        name = s->dsc ? s->dsc : s->folder;
        if (!*name || *name == '.' || *name == '-' || strchr(name, '/'))
                return error_set(err, ERR_INVALID, "'package' must name one of the inputs, without a path, not '%s'", name);
        return 0;
}

static int read_cpus(struct json_object *o, double *ret, struct error *err)
{
        double cpus;

        if (!o)
                return 0;
        if (!json_object_is_type(o, json_type_int) && !json_object_is_type(o, json_type_double))
                return error_set(err, ERR_INVALID, "'limits': 'cpus' must be a number");
        cpus = json_object_get_double(o);
        if (!(cpus >= 0.01 && cpus <= 1024))
                return error_set(err, ERR_INVALID, "'limits': 'cpus' must be from 0.01 to 1024");
        *ret = cpus;
        return 0;
}

static int read_limits(struct json_object *limits, struct job_limits *l, struct error *err)
{
        struct json_object *cpus = NULL;
        const struct json_field fields[] = {
                {"timeout", JSON_FIELD_U64, 0, &l->timeout}, {"silenceTimeout", JSON_FIELD_U64, 0, &l->silence_timeout},
                {"memory", JSON_FIELD_U64, 0, &l->memory},   {"disk", JSON_FIELD_U64, 0, &l->disk},
                {"log", JSON_FIELD_U64, 0, &l->log},         {"cpus", JSON_FIELD_ANY, 0, &cpus},
        };

        if (json_read(limits, fields, ARRAY_SIZE(fields), err) < 0)
                return error_prefix(err, "'limits'");
        return read_cpus(cpus, &l->cpus, err);
}

static int check_environment(struct json_object *environment, struct error *err)
{
        json_object_object_foreach (environment, key, value) {
                if (!*key || strchr(key, '='))
                        return error_set(err, ERR_INVALID, "'environment' cannot have a variable '%s'", key);
                if (!json_object_is_type(value, json_type_string))
                        return error_set(err, ERR_INVALID, "'environment': '%s' must be a string", key);
        }
        if (json_object_object_length(environment) > (int)JOB_WORDS_MAX)
                return error_set(err, ERR_INVALID, "'environment' has more than %u variables", JOB_WORDS_MAX);
        return 0;
}

static int check_words(const struct job_spec *s, struct error *err)
{
        if (s->name && (!printable(s->name) || strlen(s->name) > JOB_NAME_MAX))
                return error_set(err, ERR_INVALID, "'name' must be printable, and have 1 to %u bytes", JOB_NAME_MAX);
        if (check_word("chroot", s->chroot, err) < 0 || check_word("architecture", s->architecture, err) < 0 ||
            check_word("suite", s->suite, err) < 0 || check_word("user", s->user, err) < 0)
                return -1;
        if (check_each("labels", s->labels, is_label, "a label is printable, and has 1 to 64 bytes", err) < 0 ||
            check_each("packages", s->packages, is_package, "it is no package's name", err) < 0 ||
            check_each("inputs", s->inputs, is_path, "it is no path", err) < 0 ||
            check_each("artifacts", s->artifacts, is_glob, "a pattern must be relative, and without '..'", err) < 0)
                return -1;
        if (s->labels && json_object_array_length(s->labels) > JOB_LABELS_MAX)
                return error_set(err, ERR_INVALID, "'labels' has more than %u entries", JOB_LABELS_MAX);
        return s->environment ? check_environment(s->environment, err) : 0;
}

/* What excludes, or needs, one another. */
static int check_whole(const struct job_spec *s, bool package, struct error *err)
{
        int forms = (s->command != NULL) + (s->script != NULL) + package;

        if (forms != 1)
                return error_set(err, ERR_INVALID,
                                 forms == 0 ? "one of 'command', 'script' and 'package' must say what to do"
                                            : "only one of 'command', 'script' and 'package' can be there");
        if (s->script && !*s->script)
                return error_set(err, ERR_INVALID, "'script' is empty");
        if (s->chroot && (s->architecture || s->suite))
                return error_set(err, ERR_INVALID, "'chroot' excludes 'architecture' and 'suite', which name one that is made");
        if (s->packages && json_object_array_length(s->packages) > 0 && !s->chroot && !s->architecture && !s->suite && !package)
                return error_set(err, ERR_INVALID, "'packages' are installed in a chroot: name one, or its 'suite'");
        if (s->priority < 1 || s->priority > JOB_PRIORITY_MAX)
                return error_set(err, ERR_INVALID, "'priority' must be from 1 to %u", JOB_PRIORITY_MAX);
        if (s->retry_lost > JOB_RETRIES_MAX)
                return error_set(err, ERR_INVALID, "'retryLost' can be %u at most", JOB_RETRIES_MAX);
        return 0;
}

int job_spec_read(struct json_object *o, struct job_spec *ret, struct error *err)
{
        struct job_spec s = {.network = true, .priority = JOB_PRIORITY_DEFAULT};
        struct json_object *package = NULL, *limits = NULL;
        const struct json_field fields[] = {
                {"name", JSON_FIELD_STRING, 0, &s.name},
                {"vm", JSON_FIELD_STRING, 0, &s.vm},
                {"command", JSON_FIELD_STRINGS, 0, &s.command},
                {"script", JSON_FIELD_STRING, 0, &s.script},
                {"package", JSON_FIELD_OBJECT, 0, &package},
                {"chroot", JSON_FIELD_STRING, 0, &s.chroot},
                {"architecture", JSON_FIELD_STRING, 0, &s.architecture},
                {"suite", JSON_FIELD_STRING, 0, &s.suite},
                {"user", JSON_FIELD_STRING, 0, &s.user},
                {"environment", JSON_FIELD_OBJECT, 0, &s.environment},
                {"packages", JSON_FIELD_STRINGS, 0, &s.packages},
                {"inputs", JSON_FIELD_STRINGS, 0, &s.inputs},
                {"artifacts", JSON_FIELD_STRINGS, 0, &s.artifacts},
                {"labels", JSON_FIELD_STRINGS, 0, &s.labels},
                {"allowEmpty", JSON_FIELD_BOOL, 0, &s.allow_empty},
                {"network", JSON_FIELD_BOOL, 0, &s.network},
                {"keep", JSON_FIELD_BOOL, 0, &s.keep},
                {"limits", JSON_FIELD_OBJECT, 0, &limits},
                {"priority", JSON_FIELD_U64, 0, &s.priority},
                {"retryLost", JSON_FIELD_U64, 0, &s.retry_lost},
                {"output", JSON_FIELD_STRING, 0, &s.output},
        };

        if (json_read(o, fields, ARRAY_SIZE(fields), err) < 0 || (s.command && read_command(s.command, err) < 0) ||
            (package && read_package(package, &s, err) < 0) || (limits && read_limits(limits, &s.limits, err) < 0) ||
            check_words(&s, err) < 0 || check_whole(&s, package != NULL, err) < 0)
                return -1;
        if (s.vm && !vm_name_valid(s.vm))
                return error_set(err, ERR_INVALID, "'vm': '%s' is not a name for a VM", s.vm);
        *ret = s;
        return 0;
}

char *job_spec_name(const struct job_spec *s)
{
        const char *what = s->script ? "script" : s->dsc ? s->dsc : s->folder, *slash;
        struct buf b = {0};

        if (s->name)
                return xstrdup(s->name);
        if (s->command)
                what = json_object_get_string(json_object_array_get_idx(s->command, 0));
        slash = strrchr(what, '/');
        if (slash && slash[1])
                what = slash + 1;
        for (size_t i = 0; what[i] && i < JOB_NAME_MAX; i++)
                buf_append(&b, (unsigned char)what[i] < 0x20 || what[i] == 0x7f ? "?" : what + i, 1);
        return buf_take_string(&b);
}

static void add_array(struct json_object *o, const char *key, struct json_object *borrowed)
{
        json_add(o, key, json_object_get(borrowed));
}

static void add_limit(struct json_object *o, const char *key, uint64_t value)
{
        if (value > 0)
                json_add_u64(o, key, value);
}

static struct json_object *limits_new(const struct job_limits *l)
{
        struct json_object *o = json_new();

        add_limit(o, "timeout", l->timeout);
        add_limit(o, "silenceTimeout", l->silence_timeout);
        add_limit(o, "memory", l->memory);
        add_limit(o, "disk", l->disk);
        add_limit(o, "log", l->log);
        if (l->cpus > 0)
                json_add(o, "cpus", json_object_new_double(l->cpus));
        return o;
}

struct json_object *job_spec_for_guest(const struct job_spec *s, uint64_t id, const char *token, const char *chroot, bool inputs)
{
        struct json_object *o = json_new(), *package = NULL;
        autofree char *name = job_spec_name(s);

        json_add_u64(o, "id", id);
        json_add_string(o, "token", token);
        json_add_string(o, "name", name);
        add_array(o, "command", s->command);
        json_add_string(o, "script", s->script);
        if (s->dsc || s->folder) {
                package = json_new();
                json_add_string(package, "dsc", s->dsc);
                json_add_string(package, "folder", s->folder);
                json_add(o, "package", package);
        }
        json_add_string(o, "chroot", chroot);
        json_add_string(o, "user", s->user);
        add_array(o, "environment", s->environment);
        add_array(o, "packages", s->packages);
        add_array(o, "artifacts", s->artifacts);
        json_add_bool(o, "allowEmpty", s->allow_empty);
        json_add(o, "limits", limits_new(&s->limits));
        json_add_bool(o, "network", s->network);
        json_add_bool(o, "inputs", inputs);
        return o;
}
