/* SPDX-License-Identifier: MIT */
/*
 * Users and groups of the guest, and the environment of a command.  Read from /etc/passwd and /etc/group themselves: the agent is
 * static and cannot load the modules of nsswitch.conf(5).
 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

struct account {
        char *name;
        uid_t uid;
        gid_t gid;
        gid_t *groups; /* for setgroups(2): the own one and those that name the user */
        size_t n_groups;
        char *home;
        char *shell;
};

/* NULL: the user we are, also when there is no entry. Somebody unknown: ERR_INVALID. */
int account_find(const char *name, struct account *ret, struct error *err);
/* The same of the system in the folder `root`; "" is our own. */
int account_find_below(const char *root, const char *name, struct account *ret, struct error *err);
void account_done(struct account *account);

/* The environment of a command: what a login would set (HOME, USER, LOGNAME, SHELL, PATH, the locale of /etc/default/locale), and
 * then `overrides` ("NAME=value"; may be NULL). Owned. */
#define LOCALE_FILE "/etc/default/locale"
char **account_environment(const struct account *account, const char *locale_file, char *const *overrides);

/* The value of a variable in an environment; NULL when it is not set. */
const char *environment_get(char *const *environment, const char *name);
