/* SPDX-License-Identifier: MIT */
/*
 * A new chroot by a Dockerfile: buildah(1) executes it in the VM, in namespaces of its own, and with all that it keeps in a
 * folder beside the new tree, which goes with it however that ends.  Standard input is as of archive/build_stream.h.
 */
#include "archive/build_stream.h"
#include "archive/report.h"
#include "archive/rootfs.h"
#include "base/embed.h"
#include "base/file.h"
#include "base/process.h"
#include "chroot/command_private.h"
#include "chroot/confined_lines.h"
#include "chroot/containerfile.h"
#include "chroot/native.h"
#include "chroot/native_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern const char build_script[];
EMBED(build_script, "chroot/build.sh");

/* Under emulation a large build takes hours; it is meant for what hangs. */
#define BUILD_TIMEOUT_MS (12u * 3600 * 1000)

/* The last lines that an error quotes. */
#define TAIL_SHOWN 6

struct build {
        struct chroot_command *c;
        struct new_chroot new;
        char *folder; /* beside the tree */
        struct containerfile file;
        struct native_cache native;            /* of the chroot that it is built on first */
        char *failed;                          /* what buildah gives as the reason */
        const struct containerfile_step *step; /* the last one that was begun */
        char *tail[TAIL_SHOWN];
        size_t n_tail;
};

/* ---- what is sent */

static int receive(struct build *b, struct error *err)
{
        autofree char *text = build_stream_read(STDIN_FILENO, err), *context = xasprintf("%s/context", b->folder);
        autofree char *path = xasprintf("%s/Dockerfile", b->folder);

        if (!text)
                return -1;
        if (containerfile_read(text, b->c->build_arguments, &b->file, err) < 0)
                return -1;
        if (mkdir(b->folder, 0755) < 0 || mkdir(context, 0755) < 0)
                return error_errno(err, errno, "cannot make the folder '%s'", context);
        report_progress(STDERR_FILENO, "context", "sending the context");
        if (file_write_atomic(path, 0644, b->file.text, strlen(b->file.text), err) < 0)
                return -1;
        return rootfs_unpack(STDIN_FILENO, context, err) < 0 ? error_prefix(err, "the context") : 0;
}

/* ---- buildah itself */

/* buildah wants netavark to be there, also where it sets up no network. */
static bool has_buildah(void)
{
        return access("/usr/bin/buildah", X_OK) == 0 && access("/usr/lib/podman/netavark", X_OK) == 0;
}

/* dpkg must not be killed half-way: in a session of its own it goes on to its end, also without us. */
static int run_apt(const char *command, struct error *err)
{
        autostrv char **argv = strv_split(command, " ");
        const struct process_options options = {.new_session = true};
        int status;
        pid_t pid;

        if (process_spawn(argv, &options, &pid, err) < 0)
                return -1;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return status == 0 ? 0
                           : error_set(err, ERR_FAILED,
                                       "'%s' has ended (%s); 'initvm exec -- apt-get install buildah netavark' shows why",
                                       command, process_status_text(status));
}

static int install_buildah(struct error *err)
{
        static const char update[] = "timeout 10m apt-get -q update";
        static const char install[] =
                "timeout 30m apt-get -q -y --no-install-recommends -oDPkg::Lock::Timeout=300 install buildah netavark";

        if (has_buildah())
                return 0;
        report_progress(STDERR_FILENO, "install", "installing buildah in the VM");
        if (setenv("DEBIAN_FRONTEND", "noninteractive", 1) < 0 || run_apt(update, err) < 0 || run_apt(install, err) < 0)
                return error_prefix(err, "cannot install buildah in the VM");
        return 0;
}

/* ---- what it says */

static void keep(struct build *b, const char *line)
{
        char **slot = &b->tail[b->n_tail++ % TAIL_SHOWN];

        free(*slot);
        *slot = xstrdup(line);
}

/* "STEP 2/3: RUN ...", with several stages "[1/2] STEP 2/3: ...". */
static bool take_step(struct build *b, const char *line)
{
        const char *at = strstr(line, "STEP ");
        const struct containerfile_step *step;
        unsigned stage = 1, number, steps;
        autofree char *text = NULL;

        if (!at || (at != line && sscanf(line, "[%u/%*u] ", &stage) != 1) || sscanf(at, "STEP %u/%u:", &number, &steps) != 2)
                return false;
        if (b->native.folder) { /* behind each FROM there is an ENV of ours */
                if (number == 2)
                        return true;
                number -= number > 2;
                steps--;
        }
        b->step = step = containerfile_find(&b->file, stage, number);
        for (size_t i = 0; i < TAIL_SHOWN; i++) { /* what an error quotes is of its own step */
                free(b->tail[i]);
                b->tail[i] = NULL;
        }
        text = xasprintf("%u/%u: %s", number, steps, step ? step->text : "");
        report_progress(STDERR_FILENO, "step", text);
        return true;
}

static bool is_noise(const char *line)
{
        static const char *const noise[] = {
                "subprocess exited ", "process exited ",    "time=\"", "Getting image source", "Copying ",
                "Writing manifest",   "Storing signatures", "--> ",    "exit status "};

        for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
                if (str_has_prefix(line, noise[i]))
                        return true;
        return *line == '\0';
}

static void on_line(void *userdata, const char *line)
{
        struct build *b = userdata;

        if (str_has_prefix(line, "IMPORT "))
                report_progress(STDERR_FILENO, "import", strrchr(line, '/') ? "making an image of a chroot" : line);
        else if (streq(line, "STORE"))
                report_progress(STDERR_FILENO, "store", "storing what was built");
        else if (str_has_prefix(line, "Error: ") || str_has_prefix(line, "error "))
                free(b->failed), b->failed = xstrdup(line + strcspn(line, " ") + 1);
        else if (!take_step(b, line) && !is_noise(line))
                keep(b, line);
}

/* buildah quotes the whole step, and then says what was wrong. */
static const char *reason_of(const char *failed)
{
        const char *end = strstr(failed, "\": "), *copier = strstr(failed, "copier: ");

        if (str_has_prefix(failed, "building at STEP \"") || strstr(failed, "building at STEP \""))
                failed = end ? end + strlen("\": ") : failed;
        return copier ? copier + strlen("copier: ") : failed;
}

static int explain(const struct build *b, struct error *err)
{
        autobuf struct buf tail = {0};
        autofree char *text = NULL;

        for (size_t i = 0; i < TAIL_SHOWN; i++) {
                const char *last = b->tail[(b->n_tail + i) % TAIL_SHOWN];

                if (last)
                        buf_printf(&tail, " | %s", last);
        }
        text = buf_take_string(&tail);
        if (strstr(text, "o space left on device") || (b->failed && strstr(b->failed, "o space left on device")))
                return error_set(
                        err, ERR_NO_SPACE,
                        "no space is left on the VM's disk; remove chroots, or make it larger with 'initvm disk resize SIZE'");
        if (!b->step)
                return error_set(err, ERR_FAILED, "buildah could not build it: %s%s", b->failed ? b->failed : "it gave no reason",
                                 text);
        return error_set(err, ERR_FAILED, "line %u of the Dockerfile: %s%s%s", b->step->line,
                         b->failed && str_has_prefix(reason_of(b->failed), "exit status ") ? "the command ended with " : "",
                         b->failed ? reason_of(b->failed) : "buildah ended and gave no reason", text);
}

/* ---- the build */

/* Locks a chroot that is built on, until we end. */
static int use_base(struct build *b, const struct containerfile_base *base, struct error *err)
{
        if (store_use_shared(b->c->store, base->name, err) >= 0)
                return 0;
        if (err->code == ERR_NOT_FOUND || err->code == ERR_INVALID)
                return error_set(err, ERR_NOT_FOUND,
                                 "line %u of the Dockerfile: FROM must name a chroot, or 'scratch', and there is no chroot '%s'; "
                                 "'initvm chroot list' shows those that are there",
                                 base->line, base->name);
        return -1;
}

/* Programs of another chroot, which a later FROM may name, are not those of the table: they run themselves. */
static void add_native(const struct build *b, char ***argv)
{
        if (!b->native.folder)
                return;
        strv_addf(argv, "--volume=%s/helpers:" NATIVE_FOLDER ":ro", b->native.folder);
        strv_add(argv, "--env=" NATIVE_APT_CONFIG);
}

static int run_script(struct build *b, struct error *err)
{
        struct confined_lines run = {.timeout_ms = BUILD_TIMEOUT_MS, .line = on_line, .userdata = b};
        autostrv char **argv = NULL;
        int status;

        for (const char *const *word = (const char *const[]){"sh", "-c", build_script, "build.sh", b->folder, b->new.root, NULL};
             *word; word++)
                strv_add(&argv, *word);
        for (size_t i = 0; i < b->file.n_bases; i++)
                strv_addf(&argv, "%s/%s/root", b->c->store->chroots, b->file.bases[i].name);
        strv_add(&argv, "--");
        for (char *const *argument = b->c->build_arguments; argument && *argument; argument++)
                strv_addf(&argv, "--build-arg=%s", *argument);
        add_native(b, &argv);
        run.argv = argv;
        if (confined_lines_run(&run, &status, err) < 0)
                return -1;
        return status == 0 ? 0 : explain(b, err);
}

/* Without helpers everything is as well, if slower. */
static void find_native(struct build *b)
{
        const char *name = b->file.n_bases > 0 ? b->file.bases[0].name : NULL;
        autofree char *root = name ? xasprintf("%s/%s/root", b->c->store->chroots, name) : NULL;

        if (name && !b->c->no_native)
                native_cache_open(b->c->store, name, root, &b->native, NULL);
}

static int make(struct build *b, struct error *err)
{
        for (size_t i = 0; i < b->file.n_bases; i++)
                if (use_base(b, &b->file.bases[i], err) < 0)
                        return -1;
        if (install_buildah(err) < 0)
                return -1;
        find_native(b);
        if (run_script(b, err) < 0)
                return -1;
        return tree_remove(b->folder, err);
}

/* What the tree itself does not tell it has from the chroot that it was built on first. */
static struct json_object *describe(const struct build *b)
{
        struct json_object *record = chroot_look_at(b->new.root);
        const char *name = b->file.n_bases > 0 ? b->file.bases[0].name : NULL;
        autojson struct json_object *base = name ? store_record(b->c->store, name, NULL) : NULL;
        autofree char *origin = xasprintf("built from %s", name ? name : "scratch");

        for (const char *const *key = (const char *const[]){"architecture", "suite", NULL}; base && *key; key++)
                if (!json_get(record, *key))
                        json_add_string(record, *key, json_get_string(base, *key, NULL));
        json_add_string(record, "origin", origin);
        return record;
}

int chroot_build(struct chroot_command *c, struct error *err)
{
        struct build b = {.c = c, .new = NEW_CHROOT_INIT, .native = NATIVE_CACHE_INIT};
        int r = -1;

        if (chroot_check_new(c->store, c->operands[0], err) == 0 && store_new(c->store, &b.new, err) == 0) {
                b.folder = xasprintf("%s/build", b.new.path);
                if (receive(&b, err) == 0 && make(&b, err) == 0)
                        r = chroot_finish(c->store, &b.new, c->operands[0], describe(&b), err);
        }
        new_chroot_done(&b.new);
        containerfile_done(&b.file);
        native_cache_done(&b.native);
        free(b.folder);
        free(b.failed);
        for (size_t i = 0; i < TAIL_SHOWN; i++)
                free(b.tail[i]);
        return r;
}
