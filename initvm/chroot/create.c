/* SPDX-License-Identifier: MIT */
/*
 * A new Debian chroot by mmdebstrap(1), or unpacked from what an earlier one has become; and its key, which tells whether that
 * would be the same.
 *
 * For the key mmdebstrap is run up to the point where apt has fetched and verified the Release files, without the lists of
 * packages.  While it makes a chroot they are copied out of it, so that the key it gets is that of what was used.
 */
#include "archive/report.h"
#include "archive/rootfs.h"
#include "base/file.h"
#include "base/util.h"
#include "chroot/command_private.h"
#include "chroot/inputs.h"
#include "chroot/mmdebstrap.h"
#include "chroot/native.h"
#include "chroot/runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* mmdebstrap's hooks are text for sh(1), with the target as $1. TMPDIR they do not get. */
#define LISTS_VARIABLE "INITVM_LISTS"
#define RELEASE_HOOK                                                                                                             \
        "--setup-hook=APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\" apt-get --error-on=any "                                             \
        "-o Acquire::IndexTargets::deb::Packages::DefaultEnabled=false "                                                         \
        "-o Acquire::IndexTargets::deb::Translations::DefaultEnabled=false "                                                     \
        "-o Acquire::IndexTargets::deb-src::Sources::DefaultEnabled=false update"
#define LISTS_HOOK(when)                                                                                                         \
        "--" when "-hook=find \"$1/var/lib/apt/lists\" -maxdepth 1 -type f -name '*Release' "                                    \
        "-exec cp -t \"$" LISTS_VARIABLE "\" -- {} +"

/* What unpacks packages inside is the VM's, while they are unpacked: native.h. */
#define NATIVE_VARIABLE  "INITVM_NATIVE"
#define PROGRAM_VARIABLE "INITVM_PROGRAM"
#define NATIVE_HOOK      "--extract-hook=\"$" PROGRAM_VARIABLE "\" --chroot-native \"$" NATIVE_VARIABLE "\" \"$1\""
#define NATIVE_END_HOOK                                                                                                          \
        "--customize-hook=! [ -d \"$1" NATIVE_FOLDER "\" ] || { umount \"$1" NATIVE_FOLDER "\" && rmdir \"$1" NATIVE_FOLDER      \
        "\"; }"

struct making {
        struct inputs inputs;
        struct new_chroot new;
        char *temporary; /* beside the tree, for mmdebstrap and the keyring: goes with it when all of us are killed */
        char *lists;     /* in it: the Release files */
};
#define MAKING_INIT                                                                                                              \
        {                                                                                                                        \
                .new = NEW_CHROOT_INIT                                                                                           \
        }

static void making_done(struct making *m)
{
        new_chroot_done(&m->new);
        inputs_done(&m->inputs);
        free(m->temporary);
        free(m->lists);
}

/* Who verifies and downloads for apt is not root, and looks for the keyring below it. */
static int make_folders(struct making *m, const struct store *s, struct error *err)
{
        if (store_new(s, &m->new, err) < 0)
                return -1;
        m->temporary = xasprintf("%s/tmp", m->new.path);
        m->lists = xasprintf("%s/lists", m->temporary);
        if (chmod(m->new.path, 0711) < 0 || mkdir(m->temporary, 0711) < 0 || chmod(m->temporary, 0711) < 0 ||
            mkdir(m->lists, 0700) < 0 || setenv("TMPDIR", m->temporary, 1) < 0 || setenv(LISTS_VARIABLE, m->lists, 1) < 0)
                return error_errno(err, errno, "cannot make the folder '%s'", m->temporary);
        return 0;
}

/* `options`: those that differ. */
static int bootstrap(struct making *m, char *const *options, bool stages, struct error *err)
{
        autostrv char **argv = NULL;

        strv_add(&argv, "mmdebstrap");
        strv_add(&argv, "--mode=root");
        strv_add(&argv, "--format=directory");
        for (; *options; options++)
                strv_add(&argv, *options);
        if (inputs_add_options(&m->inputs, m->temporary, &argv, err) < 0)
                return -1;
        strv_add(&argv, "--");
        strv_add(&argv, m->inputs.suite);
        strv_add(&argv, m->new.root);
        if (inputs_add_sources(&m->inputs, m->temporary, &argv, err) < 0)
                return -1;
        return mmdebstrap_run(argv, stages, err);
}

/* Whether its packages are to be unpacked by the VM's programs. */
static bool prepare_native(const struct making *m, const struct chroot_command *c)
{
        autofree char *native = xasprintf("%s/native", m->temporary), *program = realpath("/proc/self/exe", NULL);
        const char *searched = getenv("PATH");
        autofree char *path = xasprintf(NATIVE_FOLDER "/bin:%s", searched ? searched : "/usr/sbin:/usr/bin:/sbin:/bin");

        return !c->no_native && program && setenv(NATIVE_VARIABLE, native, 1) == 0 && setenv(PROGRAM_VARIABLE, program, 1) == 0 &&
               setenv("PATH", path, 1) == 0;
}

static int make(struct making *m, const struct chroot_command *c, struct error *err)
{
        autofree char *packages = m->inputs.packages ? strv_join(m->inputs.packages, ",") : NULL;
        autostrv char **options = NULL;

        strv_add(&options, LISTS_HOOK("extract"));
        strv_addf(&options, "--variant=%s", m->inputs.variant);
        if (packages)
                strv_addf(&options, "--include=%s", packages);
        if (prepare_native(m, c)) {
                strv_add(&options, NATIVE_HOOK);
                strv_add(&options, NATIVE_END_HOOK);
        }
        report_progress(STDERR_FILENO, "prepare", "starting mmdebstrap");
        return bootstrap(m, options, true, err);
}

/* What mmdebstrap leaves of the machine that it ran on. */
static void remove_traces(const struct making *m)
{
        for (const char *const *f = (const char *const[]){"etc/hostname", "etc/resolv.conf", NULL}; *f; f++) {
                autofree char *path = xasprintf("%s/%s", m->new.root, *f);
                unlink(path);
        }
}

/* The folder for temporary files is no part of the chroot. */
static int finish(struct making *m, const struct chroot_command *c, const char *key, const char *origin, struct error *err)
{
        autojson struct json_object *record = json_new();

        if (tree_remove(m->temporary, err) < 0)
                return -1;
        inputs_add_record(&m->inputs, record);
        json_add_string(record, "key", key);
        json_add_string(record, "origin", origin);
        return chroot_finish(c->store, &m->new, c->operands[0], take_ptr(record), err);
}

static int create(struct making *m, const struct chroot_command *c, struct error *err)
{
        autojson struct json_object *description = NULL;
        autofree char *key = NULL;

        if (make(m, c, err) < 0)
                return -1;
        remove_traces(m);
        description = inputs_describe(&m->inputs, m->lists);
        key = description ? inputs_key(description) : NULL;
        return finish(m, c, key, "mmdebstrap", err);
}

static int print_key(struct making *m, struct error *err)
{
        static char *const options[] = {(char *)"--variant=custom", (char *)"--skip=update,cleanup", (char *)RELEASE_HOOK,
                                        (char *)LISTS_HOOK("setup"), NULL};
        autojson struct json_object *result = json_new();
        struct json_object *description;

        report_progress(STDERR_FILENO, "release", "reading what the mirror has");
        if (bootstrap(m, options, false, err) < 0)
                return -1;
        description = inputs_describe(&m->inputs, m->lists);
        if (description) {
                autofree char *key = inputs_key(description);

                json_add_string(result, "key", key);
                json_add(result, "inputs", description);
        }
        printf("%s\n", json_line(result));
        return 0;
}

static int unpack(struct making *m, const struct chroot_command *c, struct error *err)
{
        report_progress(STDERR_FILENO, "unpack", "unpacking what was made before");
        return rootfs_unpack(STDIN_FILENO, m->new.root, err) < 0 ? -1 : finish(m, c, c->key, "cache", err);
}

/* ---- the commands */

enum step { MAKE, KEY, UNPACK };

static int run(const struct chroot_command *c, enum step step, struct error *err)
{
        struct making m = MAKING_INIT;
        int r = -1;

        if (chroot_check_new(c->store, c->operands[0], err) == 0 && inputs_read(&m.inputs, c, err) == 0 &&
            (step == UNPACK || runs_check(m.inputs.architecture, err) == 0) && make_folders(&m, c->store, err) == 0)
                r = step == MAKE ? create(&m, c, err) : step == KEY ? print_key(&m, err) : unpack(&m, c, err);
        making_done(&m);
        return r;
}

int chroot_create(struct chroot_command *c, struct error *err)
{
        return run(c, MAKE, err);
}

int chroot_key(struct chroot_command *c, struct error *err)
{
        return run(c, KEY, err);
}

int chroot_unpack(struct chroot_command *c, struct error *err)
{
        return run(c, UNPACK, err);
}
