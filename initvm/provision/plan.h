/* SPDX-License-Identifier: MIT */
/*
 * What the machine shall be: the answers of a preseed, an image's description and the caller's overrides put together.
 *
 * Making a plan touches nothing.  Every answer of the installer's that the bootstrap way honours, or that means nothing
 * without an installer, is marked in the preseed; what is left over becomes a warning with its line.  An answer that would
 * make another machine than the one that bootstrap can make is an error (ERR_UNSUPPORTED), never a warning.
 *
 * Terms and defaults are debian-installer's (installation guide, appendix B).
 */
#pragma once

#include "base/error.h"
#include "provision/image.h"
#include "provision/preseed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One stanza of sources.list(5), deb822 style. */
struct plan_source {
        char *name; /* "main", "updates", "security", "backports", "local0", ... */
        char *uri;
        char *suite;
        char **components; /* NULL: a flat repository, suite is a path ending in '/' */
        char *comment;     /* NULL: none */
        char *key;         /* URL of the key; NULL: the archive's keyring */
        bool with_sources; /* deb-src as well */
        bool local;        /* from apt-setup/localN */
        unsigned line;     /* of the preseed, for messages; 0: from the image */
};

struct plan_password {
        char *value; /* NULL: none, the account is locked */
        bool crypted;
};

struct plan {
        const struct image *image;

        char *hostname;
        char *domain; /* "" when there is none */

        char *locale;   /* of the system: "de_DE.UTF-8" */
        char **locales; /* to be generated, the system's among them; NULL when only C.UTF-8 is wanted */
        char *keymap_model, *keymap_layout, *keymap_variant, *keymap_options;
        char *timezone;
        bool ntp;
        char *ntp_server; /* NULL: the distribution's */

        bool root_login;
        struct plan_password root_password;
        char *username; /* NULL: no user */
        char *fullname;
        struct plan_password user_password;
        uint64_t user_uid; /* 0: the next free one */
        char **user_groups;

        struct plan_source *sources;
        size_t n_sources;
        bool allow_unsigned;
        char *proxy; /* NULL: none */
        bool recommends;
        char **packages; /* everything to install besides the essential ones, the kernel included */
        char *kernel;
        char *modules;        /* MODULES= of initramfs-tools: "most", "dep" or "list" (ours: what a VM boots from) */
        char *kernel_options; /* further ones, "" when none */

        char *filesystem; /* of the root: ext4, ext3, ext2 */
        uint64_t swap;    /* bytes; 0: none */
        uint64_t size;    /* of the disk */

        char *early_command; /* NULL: none */
        char *late_command;
        char *selections; /* other owners' answers, for debconf-set-selections(1), and ours */

        char **warnings; /* "FILE:LINE: ..." */
};

struct plan_overrides {
        const char *name;   /* the VM's; hostname when the preseed has none */
        const char *mirror; /* NULL: the preseed's or the image's */
        uint64_t size;      /* 0: the image's */
};

/* Image stays the caller's and must outlive the plan; the preseed's marks are set. NULL on failure. */
struct plan *plan_new(const struct image *image, struct preseed *preseed, const struct plan_overrides *overrides,
                      struct error *err);
void plan_free(struct plan *plan); /* NULL is fine */
static inline void cleanup_plan(struct plan **plan)
{
        plan_free(*plan);
}
#define autoplan __attribute__((cleanup(cleanup_plan)))

/* Whether it begins with http:// or https:// and a host, and has nothing in it that a line of settings could not quote. */
bool plan_url_valid(const char *s);

/* sources.list(5), deb822 style, of the archive's sources or the local ones. signed_by[i] is the key file of plan->sources[i]. */
char *plan_sources_text(const struct plan *plan, bool local, char *const *signed_by);

/* The parts of plan_new(), one file each. */
int plan_read_system(struct plan *plan, struct preseed *p, const struct plan_overrides *o, struct error *err);
int plan_read_users(struct plan *plan, struct preseed *p, struct error *err);
int plan_read_apt(struct plan *plan, struct preseed *p, const struct plan_overrides *o, struct error *err);
int plan_read_packages(struct plan *plan, struct preseed *p, struct error *err);
int plan_read_disk(struct plan *plan, struct preseed *p, const struct plan_overrides *o, struct error *err);

/* Marks what only an installer asks; fails on answers that ask for a machine that bootstrap cannot make. */
int plan_read_rest(struct plan *plan, struct preseed *p, struct error *err);

/* "FILE:LINE: 'QUESTION' ...": ERR_UNSUPPORTED with the advice; returns -1. */
int plan_unsupported(const struct preseed *p, const struct preseed_entry *e, struct error *err, const char *what);

/* The answer without blanks around it, owned; NULL when there is none or it is empty. Marks it. */
char *plan_string(struct preseed *p, const char *question);

/* 0 when every character of `value` is a letter, a digit or one of `others`; else the answer's error. `value` NULL is fine. */
int plan_check_characters(const struct preseed *p, const char *question, const char *value, const char *others,
                          struct error *err);
