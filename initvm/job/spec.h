/* SPDX-License-Identifier: MIT */
/*
 * What a job is to do, as JSON.  The host has checked it and named what it did not like; here unknown keys are passed over, so
 * that a newer host's can be read, and wrong types are refused.
 *
 * {"name": TEXT, "command": [WORD...] | "script": TEXT | "package": {"dsc": FILE} | {"folder": NAME}, "chroot": NAME (absent: the
 * machine itself), "user": NAME (absent: root), "environment": {NAME: VALUE}, "packages": [NAME...], "artifacts": [GLOB...],
 * "allowEmpty": BOOL, "limits": {"timeout": ms, "silenceTimeout": ms, "memory": bytes, "cpus": NUMBER, "disk": bytes,
 * "log": bytes},
 * "network": BOOL (true), "inputs": BOOL (false)}
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

#define SPEC_SIZE_MAX ((size_t)1 << 20) /* a script with comments is far below it */

/* A log is cut there when the spec says nothing: a build that writes more is in a loop. */
#define SPEC_LOG_DEFAULT ((uint64_t)2 << 30)

struct spec {
        struct json_object *json; /* owns the strings that are not vectors */
        const char *name;
        char **command; /* one of these three, or a package */
        const char *script;
        const char *package_dsc, *package_folder; /* names in the workspace */
        const char *chroot;                       /* NULL: the machine itself */
        const char *user;                         /* NULL: root */
        char **environment;                       /* "NAME=VALUE" */
        char **packages;
        char **artifacts;
        bool allow_empty;
        bool network;
        bool inputs;
        uint64_t timeout_ms, silence_ms, memory, disk, log; /* 0: none */
        unsigned cpu_percent;                               /* of one CPU; 0: none */
};
#define autospec __attribute__((cleanup(spec_done)))

/* `owned` may be NULL, with the error that is already there. */
int spec_read(struct json_object *owned, struct spec *ret, struct error *err);
void spec_done(struct spec *spec);

/* The one of a job's folder. */
struct job;
int spec_of(const struct job *job, struct spec *ret, struct error *err);
