/* SPDX-License-Identifier: MIT */
#include "cli/submit_spec.h"

#include "archive/name.h"
#include "cli/remote_command.h"
#include "cli/submit_dsc.h"
#include "wire/job_spec.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct option_spec submit_options[] = {
        {.name = "chroot",
         .type = OPTION_STRING,
         .argument = "NAME",
         .help = "run it in this chroot, on an overlay that is discarded"},
        {.name = "arch",
         .letter = 'a',
         .type = OPTION_STRING,
         .argument = "ARCH",
         .help = "run it in a chroot of this architecture, which is made when it is not there"},
        {.name = "suite",
         .letter = 's',
         .type = OPTION_STRING,
         .argument = "SUITE",
         .help = "the same of this suite (default for both, if one is given: the VM's)"},
        {.name = "input",
         .letter = 'i',
         .type = OPTION_LIST,
         .argument = "PATH",
         .help = "copy this file or folder into its workspace; may be repeated"},
        {.name = "artifact",
         .letter = 'A',
         .type = OPTION_LIST,
         .argument = "GLOB",
         .help = "fetch what matches this in the workspace; may be repeated"},
        {.name = "allow-empty", .type = OPTION_FLAG, .help = "artifacts that match nothing are no failure"},
        {.name = "output",
         .letter = 'o',
         .type = OPTION_FILE,
         .argument = "FOLDER",
         .help = "where the artifacts go (default: ./initvm-build-YYYYmmdd-HHMMSS)"},
        {.name = "timeout", .letter = 't', .type = OPTION_SECONDS, .argument = "SECONDS", .help = "end it when it takes longer"},
        {.name = "silence-timeout",
         .type = OPTION_SECONDS,
         .argument = "SECONDS",
         .help = "end it when it writes nothing for so long"},
        {.name = "memory", .letter = 'm', .type = OPTION_SIZE, .argument = "SIZE", .help = "the memory it may use"},
        {.name = "cpus", .type = OPTION_STRING, .argument = "N", .help = "the CPUs it may use, as 1.5"},
        {.name = "disk", .type = OPTION_SIZE, .argument = "SIZE", .help = "the space that it may take in the VM"},
        {.name = "log-size", .type = OPTION_SIZE, .argument = "SIZE", .help = "what is kept of its output at most"},
        {.name = "env",
         .letter = 'e',
         .type = OPTION_LIST,
         .argument = "NAME=VALUE",
         .help = "set a variable; NAME alone passes on yours; may be repeated"},
        {.name = "package",
         .letter = 'p',
         .type = OPTION_LIST,
         .argument = "NAME",
         .help = "install this package in the overlay before; may be repeated"},
        {.name = "user", .letter = 'u', .type = OPTION_STRING, .argument = "USER", .help = "run it as this user"},
        {.name = "no-network", .type = OPTION_FLAG, .help = "without any network but its own loopback"},
        {.name = "priority", .type = OPTION_NUMBER, .argument = "N", .help = "1 to 100, higher ones first (default: 50)"},
        {.name = "label", .letter = 'l', .type = OPTION_LIST, .argument = "TEXT", .help = "mark the job, for 'initvm job list'"},
        {.name = "job-name", .type = OPTION_STRING, .argument = "TEXT", .help = "what the job is called (default: its command)"},
        {.name = "retry-lost",
         .type = OPTION_NUMBER,
         .argument = "N",
         .help = "run it again, up to N times, when its VM ended under it"},
        {.name = "keep", .type = OPTION_FLAG, .help = "keep its workspace in the VM also when it succeeds"},
        {.name = "detach", .letter = 'd', .type = OPTION_FLAG, .help = "only submit it, and print its number"},
        OPTION_JSON_HELP,
        {0},
};

static void set_text(struct json_object *o, const char *key, const struct arguments *a, const char *option)
{
        json_add_string(o, key, arguments_text(a, option, NULL));
}

/* What the file calls otherwise is named as the option here. */
static int check_range(const struct arguments *a, const char *option, uint64_t min, uint64_t max, struct error *err)
{
        uint64_t n = arguments_number(a, option, min);

        if (n < min || n > max)
                return error_set(err, ERR_INVALID, "--%s must be from %" PRIu64 " to %" PRIu64 ", not %" PRIu64, option, min, max,
                                 n);
        return 0;
}

static void set_number(struct json_object *o, const char *key, const struct arguments *a, const char *option)
{
        if (arguments_number(a, option, 0) > 0)
                json_add_u64(o, key, arguments_number(a, option, 0));
}

/* What the file has, and what the options add. */
static void add_list(struct json_object *o, const char *key, const struct arguments *a, const char *option)
{
        autostrv char **list = arguments_list(a, option);
        struct json_object *array = json_get(o, key);

        if (!list)
                return;
        if (!json_object_is_type(array, json_type_array)) {
                array = json_object_new_array();
                json_add(o, key, array);
        }
        for (char **s = list; *s; s++) {
                autojson struct json_object *holder = json_new();

                json_add_string(holder, "s", *s); /* as UTF-8 */
                json_object_array_add(array, json_object_get(json_get(holder, "s")));
        }
}

/* The object under this key, made when it is not there. */
static struct json_object *child(struct json_object *o, const char *key)
{
        struct json_object *c = json_get(o, key);

        if (!json_object_is_type(c, json_type_object)) {
                c = json_new();
                json_add(o, key, c);
        }
        return c;
}

static int add_environment(struct json_object *spec, const struct arguments *a, struct error *err)
{
        autostrv char **environment = NULL;

        if (remote_command_environment(a, &environment, err) < 0)
                return -1;
        for (char **e = environment; e && *e; e++) {
                char *value = strchr(*e, '=');
                *value++ = '\0';
                json_add_string(child(spec, "environment"), *e, value);
        }
        return 0;
}

static int add_limits(struct json_object *spec, const struct arguments *a, struct error *err)
{
        static const char *const names[][2] = {{"timeout", "timeout"},
                                               {"silenceTimeout", "silence-timeout"},
                                               {"memory", "memory"},
                                               {"disk", "disk"},
                                               {"log", "log-size"}};
        const char *cpus = arguments_text(a, "cpus", NULL);
        char *end = NULL;
        double n;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (arguments_number(a, names[i][1], 0) > 0)
                        set_number(child(spec, "limits"), names[i][0], a, names[i][1]);
        if (!cpus)
                return 0;
        n = strtod(cpus, &end);
        if (*end || !isfinite(n) || n <= 0)
                return error_set(err, ERR_INVALID, "--cpus wants a number as 2 or 1.5, not '%s'", cpus);
        json_add(child(spec, "limits"), "cpus", json_object_new_double(n));
        return 0;
}

static int add_options(struct json_object *spec, const struct arguments *a, struct error *err)
{
        if (check_range(a, "priority", 1, JOB_PRIORITY_MAX, err) < 0 || check_range(a, "retry-lost", 0, JOB_RETRIES_MAX, err) < 0)
                return -1;
        set_text(spec, "chroot", a, "chroot");
        set_text(spec, "architecture", a, "arch");
        set_text(spec, "suite", a, "suite");
        set_text(spec, "user", a, "user");
        set_text(spec, "output", a, "output");
        set_text(spec, "name", a, "job-name");
        set_text(spec, "vm", a, "name");
        set_number(spec, "priority", a, "priority");
        set_number(spec, "retryLost", a, "retry-lost");
        add_list(spec, "artifacts", a, "artifact");
        add_list(spec, "packages", a, "package");
        add_list(spec, "labels", a, "label");
        if (arguments_flag(a, "allow-empty"))
                json_add_bool(spec, "allowEmpty", true);
        if (arguments_flag(a, "no-network"))
                json_add_bool(spec, "network", false);
        if (arguments_flag(a, "keep"))
                json_add_bool(spec, "keep", true);
        return add_environment(spec, a, err) < 0 ? -1 : add_limits(spec, a, err);
}

/* ---- the three forms */

static struct json_object *package_new(const char *key, const char *name)
{
        struct json_object *o = json_new();

        json_add_string(o, key, name);
        return o;
}

/* Paths in the file are relative to where the file is. */
static int read_file(struct submission *s, const char *path, struct error *err)
{
        struct json_object *inputs;
        const char *slash = strrchr(path, '/');

        s->spec = json_parse_file(path, err);
        if (!s->spec)
                return -1;
        if (!json_object_is_type(s->spec, json_type_object))
                return error_set(err, ERR_INVALID, "'%s' must hold a JSON object", path);
        inputs = json_get(s->spec, "inputs");
        for (size_t i = 0; json_object_is_type(inputs, json_type_array) && i < json_object_array_length(inputs); i++) {
                const char *name = json_object_get_string(json_object_array_get_idx(inputs, i));
                if (slash && name && *name != '/')
                        strv_addf(&s->inputs, "%.*s/%s", (int)(slash - path), path, name);
                else
                        strv_add(&s->inputs, name ? name : "");
        }
        return 0;
}

static int read_folder(struct submission *s, const char *path, struct error *err)
{
        autofree char *debian = xasprintf("%s/debian/control", path);
        char resolved[PATH_MAX]; /* "." has no name */

        if (access(debian, R_OK) < 0 || !realpath(path, resolved))
                return error_set(err, ERR_INVALID, "'%s' is no source package: there is no '%s'", path, debian);
        autofree char *name = name_of_source(resolved);
        s->spec = json_new();
        json_add(s->spec, "package", package_new("folder", name));
        strv_add(&s->inputs, resolved);
        return 0;
}

static int read_dsc(struct submission *s, const char *path, struct error *err)
{
        autofree char *name = name_of_source(path);

        if (dsc_files(path, &s->inputs, err) < 0)
                return -1;
        s->spec = json_new();
        json_add(s->spec, "package", package_new("dsc", name));
        return 0;
}

static int read_operand(struct submission *s, const char *path, struct error *err)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return error_errno(err, errno, "cannot read '%s'", path);
        if (S_ISDIR(st.st_mode))
                return read_folder(s, path, err);
        if (str_has_suffix(path, ".dsc"))
                return read_dsc(s, path, err);
        if (str_has_suffix(path, ".json"))
                return read_file(s, path, err);
        return error_set(err, ERR_INVALID, "'%s' is neither a .json nor a .dsc file nor a folder; a command goes behind '--'",
                         path);
}

static int read_form(struct submission *s, const struct invocation *inv, struct error *err)
{
        if (inv->operands[0] && inv->behind[0])
                return error_set(err, ERR_INVALID, "either '%s' or the command behind '--' can be the job", inv->operands[0]);
        if (inv->operands[0])
                return read_operand(s, inv->operands[0], err);
        if (!inv->behind[0])
                return error_set(
                        err, ERR_INVALID,
                        "something is missing behind 'submit': -- COMMAND [ARGUMENT...], JOB.json, PACKAGE.dsc, or a folder "
                        "with debian/");
        s->spec = json_new();
        json_add(s->spec, "command", json_from_strv(inv->behind));
        return 0;
}

/* What is in the workspace has one name each. */
static int check_inputs(const struct submission *s, struct error *err)
{
        autostrv char **names = NULL;

        for (char **input = s->inputs; input && *input; input++) {
                autofree char *name = name_of_source(*input);

                if (access(*input, R_OK) < 0)
                        return error_errno(err, errno, "cannot read the input '%s'", *input);
                if (strv_contains(names, name))
                        return error_set(err, ERR_INVALID, "two inputs are called '%s': give one of them another name", name);
                strv_add(&names, name);
        }
        return 0;
}

int submission_init(struct submission *s, const struct invocation *inv, struct error *err)
{
        autostrv char **inputs = arguments_list(&inv->arguments, "input");
        struct job_spec checked;

        *s = (struct submission){.vm = inv->name};
        if (read_form(s, inv, err) < 0)
                return -1;
        for (char **input = inputs; input && *input; input++)
                strv_add(&s->inputs, *input);
        if (add_options(s->spec, &inv->arguments, err) < 0)
                return -1;
        if (s->inputs || json_object_is_type(json_get(s->spec, "inputs"), json_type_array))
                json_add(s->spec, "inputs", json_from_strv(s->inputs));
        if (job_spec_read(s->spec, &checked, err) < 0)
                return inv->operands[0] ? error_prefix(err, "'%s'", inv->operands[0]) : -1;
        if (checked.vm)
                s->vm = checked.vm;
        return check_inputs(s, err);
}

void submission_done(struct submission *s)
{
        json_object_put(s->spec);
        strv_free(s->inputs);
        *s = (struct submission){0};
}
