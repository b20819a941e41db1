/* SPDX-License-Identifier: MIT */
/*
 * What a build job is: the object in JOB.json, in SubmitJob and in job.json, read strictly; and the object that the guest gets,
 * the first line of what `--job create` reads (initvm-agent(8)).
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

#include <stdbool.h>
#include <stdint.h>

#define JOB_TOKEN_SIZE 33 /* 32 hexadecimal digits and a NUL */

#define JOB_PRIORITY_DEFAULT 50u
#define JOB_PRIORITY_MAX     100u
#define JOB_RETRIES_MAX      10u
#define JOB_LABELS_MAX       16u
#define JOB_LABEL_MAX        64u   /* bytes */
#define JOB_NAME_MAX         128u  /* bytes */
#define JOB_WORDS_MAX        1024u /* inputs, artifacts, packages, variables: each */

/* Absent limits are 0. */
struct job_limits {
        uint64_t timeout, silence_timeout; /* ms */
        uint64_t memory, disk, log;        /* bytes */
        double cpus;
};

/* All that points into the object is borrowed from it; NULL when absent. Exactly one of command, script, dsc and folder is there.
 */
struct job_spec {
        const char *name;
        const char *vm;
        struct json_object *command; /* an array of strings, not empty */
        const char *script;
        const char *dsc, *folder; /* a package build: names among the inputs */
        const char *chroot;
        const char *architecture, *suite; /* of a chroot that is made when it is not there; not with `chroot` */
        const char *user;
        struct json_object *environment; /* an object of strings */
        struct json_object *packages, *inputs, *artifacts, *labels;
        bool allow_empty, network, keep;
        struct job_limits limits;
        uint64_t priority;   /* 1 to JOB_PRIORITY_MAX; higher ones first */
        uint64_t retry_lost; /* so many times a job that was lost is run again */
        const char *output;  /* the folder for its artifacts on the host */
};

/* ERR_INVALID names the field. */
int job_spec_read(struct json_object *o, struct job_spec *ret, struct error *err);

/* A name for people: the spec's own, or made of what it does. Owned. */
char *job_spec_name(const struct job_spec *s);

/* What the guest gets (owned). `inputs`: a tar follows. `chroot` stands for whatever the spec says of one; NULL: the VM itself.
 */
struct json_object *job_spec_for_guest(const struct job_spec *s, uint64_t id, const char *token, const char *chroot, bool inputs);
