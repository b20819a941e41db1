/* SPDX-License-Identifier: MIT */
/* What the commands of `--chroot` share; each works on an open store and returns 0 or -1. */
#pragma once

#include "chroot/store.h"

#include <stdio.h>

struct chroot_command {
        struct store *store;
        char **operands; /* as many as the command needs; NULL-terminated */
        char *architecture, *suite, *variant;
        char **packages, **mirrors;
        char **build_arguments; /* "NAME=VALUE" */
        bool keyring;           /* standard input is one */
        char *key;              /* what a chroot is kept under in the host's cache */
        char *user, *cwd;
        char **environment, **binds;
        bool no_native; /* nothing of the VM stands in for programs of the chroot (native.h) */
        bool terminal;
        char *save_as; /* "": under its own name */
        bool ask;      /* on the terminal, under which name */
        int status;    /* of run and shell: the command's own */
};

int chroot_build(struct chroot_command *c, struct error *err);
int chroot_create(struct chroot_command *c, struct error *err);
int chroot_key(struct chroot_command *c, struct error *err);
int chroot_unpack(struct chroot_command *c, struct error *err);
int chroot_import(struct chroot_command *c, struct error *err);
int chroot_export(struct chroot_command *c, struct error *err);
int chroot_run(struct chroot_command *c, struct error *err);
int chroot_shell(struct chroot_command *c, struct error *err);
int chroot_clone(struct chroot_command *c, struct error *err);
int chroot_rename(struct chroot_command *c, struct error *err);
int chroot_ps(struct chroot_command *c, struct error *err);
int chroot_remove(struct chroot_command *c, struct error *err);

/* The name must be good and free, before anything long begins. */
int chroot_check_new(const struct store *s, const char *name, struct error *err);

/* The exclusive end of all makers: record and size, then store_commit(), and the record on standard output. `record` is taken. */
int chroot_finish(const struct store *s, struct new_chroot *n, const char *name, struct json_object *record, struct error *err);

/* The value of a line "KEY=value" or "Key: value" in a text up to its first empty line; owned, NULL when there is none. */
char *chroot_value_of(const char *text, const char *key);

/* A record with what can be seen in a tree: architecture, suite. */
struct json_object *chroot_look_at(const char *root);
