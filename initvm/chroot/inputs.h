/* SPDX-License-Identifier: MIT */
/*
 * What goes into a chroot that mmdebstrap makes: what was asked for, where packages come from, and, by its key, what was there
 * at that time.  Two chroots of the same key are the same but for times and random names.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"

struct chroot_command;

/* mmdebstrap(1): what builds of packages need. */
#define VARIANT_DEFAULT "buildd"

struct inputs {
        char *suite, *architecture, *variant;
        char **packages; /* sorted, each once; may be NULL */
        char **mirrors;  /* as mmdebstrap takes them; NULL: `sources`, or its own default */
        char *sources;   /* the text of a file "debian.sources", sources.list(5) in its newer format; or NULL */
        char *keyring;   /* or NULL */
        size_t keyring_size;
};
#define autoinputs __attribute__((cleanup(inputs_done)))

/* What the options of a command mean in this VM. Without --mirror the sources are the VM's own: for its own suite as they are,
 * for another one sources_for_suite(), else the mirror of the first of them. A keyring is read from standard input. */
int inputs_read(struct inputs *in, const struct chroot_command *c, struct error *err);
void inputs_done(struct inputs *in);

/* What they are on mmdebstrap's command line: options before the dashes, and the sources behind suite and target. The keyring and
 * debian.sources become files in `folder`, where apt's own user can read them. */
int inputs_add_options(const struct inputs *in, const char *folder, char ***argv, struct error *err);
int inputs_add_sources(const struct inputs *in, const char *folder, char ***argv, struct error *err);

/* The members of a record (store_record()) that they tell. */
void inputs_add_record(const struct inputs *in, struct json_object *record);

/*
 * All of it as one object, whose text is the same whenever they are the same:
 * {"format", "suite", "architecture", "variant", "packages", "mirrors", "sources", "keyring": digest, "tools": ["apt 2.6.1",
 * "mmdebstrap 1.3.5-7"], "releases": [{"file", "packages": digest}]}.
 * `lists`: a folder with the Release files as apt has kept them, verified. NULL when there are none: then nobody can tell what
 * was on the mirror.
 */
struct json_object *inputs_describe(const struct inputs *in, const char *lists);

/* Of such an object: its digest. Owned. */
char *inputs_key(struct json_object *description);

/*
 * Sources of a VM whose suite is `own`, for another one: 'bookworm', 'bookworm-updates' and 'bookworm-security' become those of
 * the other suite, or, where Debian has none of these (sid), go. Owned; NULL when not one of them is for `own`.
 */
char *sources_for_suite(const char *text, const char *own, const char *suite);

/*
 * What a Release file says of the lists of packages for an architecture (and "all"), as a digest: the lines of their checksums.
 * The rest, as its date and for how long it is valid, changes several times a day without anything else being new.  Of a Release
 * that names none ("flat" repositories): of all of it.  Owned.
 */
char *release_digest(const char *text, const char *architecture);
