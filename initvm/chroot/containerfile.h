/* SPDX-License-Identifier: MIT */
/*
 * As much of a Dockerfile (Containerfile(5)) as must be known before buildah(1) reads it: which chroots it builds on, and on
 * which line each instruction is.  Text in, a description out.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>

/* What stands for the i-th chroot in the rewritten text: an image's name is more limited than a chroot's. */
#define CONTAINERFILE_IMAGE "localhost/initvm-base-%zu"

struct containerfile_base {
        char *name; /* of a chroot */
        unsigned line;
};

/* An instruction. Stages count from 1, and so do steps in a stage, whose first one is its FROM: as buildah counts them. Before
 * the first FROM both are 0. */
struct containerfile_step {
        unsigned line, stage, step;
        char *text; /* its first line */
};

struct containerfile {
        char *text; /* rewritten, with the same lines */
        struct containerfile_base *bases;
        size_t n_bases;
        struct containerfile_step *steps;
        size_t n_steps;
        unsigned n_stages;
};
#define autocontainerfile __attribute__((cleanup(containerfile_done)))

/* `arguments`: "NAME=VALUE" of --build-arg, or NULL. ERR_INVALID names the line: no FROM, or what is no instruction. */
int containerfile_read(const char *text, char *const *arguments, struct containerfile *ret, struct error *err);
void containerfile_done(struct containerfile *c);

/* NULL when there is none. */
const struct containerfile_step *containerfile_find(const struct containerfile *c, unsigned stage, unsigned step);
