/* SPDX-License-Identifier: MIT */
/*
 * A new Debian chroot by mmdebstrap(1), in namespaces of its own, so that nothing of it is left mounted or running however it
 * ends.
 *
 * Sources: those that are named; else, for the VM's own suite, the VM's own; else the VM's mirror with that suite.  mmdebstrap
 * itself finds out whether the VM can execute programs of the architecture.
 */
#include "archive/report.h"
#include "base/file.h"
#include "chroot/command_private.h"
#include "chroot/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* buildd has what builds of packages need, as mmdebstrap(1) says. */
#define VARIANT_DEFAULT "buildd"

#define SOURCES_FILE  "/etc/apt/sources.list.d/debian.sources"
#define SOURCES_MAX   (64u << 10)
#define PROXY_FILE    "/etc/apt/apt.conf.d/90proxy"
#define KEYRING_MAX   (4u << 20)
#define LINE_MAX_KEPT 1024

/* Under emulation a large set of packages takes an hour; it is meant for what hangs. */
#define MMDEBSTRAP_TIMEOUT_MS (6u * 3600 * 1000)

/* The last lines that an error quotes, when mmdebstrap gives no reason of its own. */
#define TAIL_SHOWN 4

struct making {
        struct chroot_command *c;
        struct new_chroot new;
        char *temporary; /* beside the tree, for mmdebstrap and the keyring: goes with it when all of us are killed */
        char *suite;
        struct buf line;
        char *reason; /* the first line "E: ..." */
        char *tail[TAIL_SHOWN];
        size_t n_tail;
};

/* ---- what mmdebstrap says */

static void stage_of(const char *line)
{
        static const struct {
                const char *begin, *stage, *text;
        } stages[] = {
                {"I: running apt-get update", "update", "reading the lists of packages"},
                {"I: downloading packages", "download", "downloading packages"},
                {"I: extracting archives", "extract", "extracting the essential packages"},
                {"I: installing essential packages", "essential", "installing the essential packages"},
                {"I: installing remaining packages", "packages", "installing the other packages"},
                {"I: cleaning package lists", "clean", "cleaning up"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
                if (str_has_prefix(line, stages[i].begin))
                        report_progress(STDERR_FILENO, stages[i].stage, stages[i].text);
}

/* What says no more than that it failed, or nothing at all. */
static bool is_noise(const char *line)
{
        static const char *const noise[] = {"I: ", "E: mmdebstrap failed", "E: apt-get ", "E: Some index files",
                                            "Reading package lists"};

        for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
                if (str_has_prefix(line, noise[i]))
                        return true;
        return *line == '\0';
}

static void take_line(struct making *m)
{
        autofree char *line = buf_take_string(&m->line);

        stage_of(line);
        if (is_noise(line))
                return;
        if (!m->reason && str_has_prefix(line, "E: "))
                m->reason = xstrdup(line + strlen("E: "));
        free(m->tail[m->n_tail % TAIL_SHOWN]);
        m->tail[m->n_tail++ % TAIL_SHOWN] = take_ptr(line);
}

static void take_output(struct making *m, const char *data, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (data[i] == '\n')
                        take_line(m);
                else if (buf_size(&m->line) < LINE_MAX_KEPT)
                        buf_append(&m->line, data + i, 1);
}

/* Its own reason first, then the lines before its end. */
static int explain(struct making *m, struct error *err)
{
        struct buf b = {0};
        autofree char *text = NULL;

        for (size_t i = m->n_tail > TAIL_SHOWN ? m->n_tail - TAIL_SHOWN : 0; i < m->n_tail; i++) {
                const char *line = m->tail[i % TAIL_SHOWN];

                if (!m->reason || !strstr(line, m->reason))
                        buf_printf(&b, " | %s", line);
        }
        text = buf_take_string(&b);
        if (strstr(text, "No space left on device") || (m->reason && strstr(m->reason, "No space left on device")))
                return error_set(err, ERR_NO_SPACE, "no space is left on the VM's disk; remove chroots, or make a larger VM");
        return error_set(err, ERR_FAILED, "mmdebstrap could not make the chroot: %s%s",
                         m->reason ? m->reason : "it gave no reason", text);
}

/* ---- running it */

static int open_signals(void)
{
        sigset_t signals;

        sigemptyset(&signals);
        for (const int *s = (const int[]){SIGTERM, SIGINT, SIGHUP, SIGQUIT, 0}; *s; s++)
                sigaddset(&signals, *s);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        return signalfd(-1, &signals, SFD_CLOEXEC);
}

/* Reads its output to the end; kills it when we are told to end, or it takes too long. */
static int follow(struct making *m, pid_t pid, int output, int signals, struct error *err)
{
        struct pollfd fds[] = {{.fd = output, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        uint64_t end = now_ms() + MMDEBSTRAP_TIMEOUT_MS;
        char data[4096];
        ssize_t n = 1;

        while (n != 0) {
                uint64_t now = now_ms();
                int r = now < end ? poll(fds, ARRAY_SIZE(fds), (int)(end - now)) : 0;

                if (r < 0 && errno == EINTR)
                        continue;
                if (r <= 0 || fds[1].revents) {
                        kill(pid, SIGKILL);
                        return r > 0 ? error_set(err, ERR_CANCELLED, "cancelled")
                                     : error_set(err, ERR_TIMEOUT, "mmdebstrap did not end within %u h",
                                                 MMDEBSTRAP_TIMEOUT_MS / 3600 / 1000);
                }
                n = read(output, data, sizeof(data));
                if (n > 0)
                        take_output(m, data, (size_t)n);
                else if (n < 0 && errno != EINTR)
                        n = 0;
        }
        return 0;
}

static int run_mmdebstrap(struct making *m, char *const *argv, struct error *err)
{
        autoclose int output = -1, written = -1, null = open("/dev/null", O_RDWR | O_CLOEXEC), signals = open_signals();
        int fds[2], status = 0, r;
        pid_t pid;

        if (null < 0 || signals < 0 || pipe2(fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot start mmdebstrap");
        output = fds[0];
        written = fds[1];
        const struct confined c = {.argv = argv, .fds = {null, written, written}, .own_group = true};
        if (confined_start(&c, &pid, err) < 0)
                return -1;
        close(take_fd(&written));
        r = follow(m, pid, output, signals, err);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return -1;
        if (WIFEXITED(status) && WEXITSTATUS(status) == CONFINED_NOT_EXECUTED)
                return error_set(err, ERR_UNSUPPORTED,
                                 "mmdebstrap could not be started; is it in the VM? It is in the package mmdebstrap");
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : explain(m, err);
}

/* ---- what it is to do */

/* The value of the first line "KEY..." of a file; owned, NULL when there is none. */
static char *first_value(const char *path, const char *key)
{
        autofree char *text = file_read(path, SOURCES_MAX, NULL, NULL);
        autostrv char **lines = text ? strv_split(text, "\n") : NULL;

        for (char **line = lines; line && *line; line++)
                if (str_has_prefix(*line, key))
                        return xstrndup(*line + strlen(key), strcspn(*line + strlen(key), " "));
        return NULL;
}

/* What stands behind the suite. */
static int add_sources(struct making *m, char ***argv, struct json_object *record)
{
        autofree char *own_suite = first_value("/usr/lib/os-release", "VERSION_CODENAME="), *mirror = NULL;
        char *const *mirrors = m->c->mirrors;

        for (; mirrors && *mirrors; mirrors++)
                strv_add(argv, *mirrors);
        if (!m->c->mirrors) {
                mirror = first_value(SOURCES_FILE, "URIs: ");
                if (mirror)
                        strv_add(argv, streq(own_suite, m->suite) ? SOURCES_FILE : mirror);
        }
        json_add_string(record, "mirror", m->c->mirrors ? m->c->mirrors[0] : mirror);
        return 0;
}

/* The keyring comes from the host by standard input. Its file's name tells apt the format. */
static int add_keyring(struct making *m, char ***argv, struct error *err)
{
        size_t n = 0;
        autofree char *key = NULL, *path = NULL;

        if (!m->c->keyring)
                return 0;
        key = file_read("/dev/stdin", KEYRING_MAX, &n, err);
        if (!key)
                return error_prefix(err, "the keyring");
        path = xasprintf("%s/keyring.%s", m->temporary, str_has_prefix(key, "-----BEGIN PGP") ? "asc" : "gpg");
        strv_addf(argv, "--keyring=%s", path);
        return file_write_atomic(path, 0644, key, n, err);
}

static int make(struct making *m, struct json_object *record, struct error *err)
{
        const struct chroot_command *c = m->c;
        const char *variant = c->variant ? c->variant : VARIANT_DEFAULT;
        autofree char *packages = c->packages ? strv_join(c->packages, ",") : NULL;
        autostrv char **argv = NULL;

        strv_add(&argv, "mmdebstrap");
        strv_add(&argv, "--mode=root");
        strv_add(&argv, "--format=directory");
        strv_addf(&argv, "--variant=%s", variant);
        if (c->architecture)
                strv_addf(&argv, "--architectures=%s", c->architecture);
        if (packages)
                strv_addf(&argv, "--include=%s", packages);
        if (access(PROXY_FILE, R_OK) == 0)
                strv_add(&argv, "--aptopt=" PROXY_FILE);
        if (add_keyring(m, &argv, err) < 0)
                return -1;
        strv_add(&argv, "--");
        strv_add(&argv, m->suite);
        strv_add(&argv, m->new.root);
        add_sources(m, &argv, record);
        json_add_string(record, "variant", variant);
        if (c->packages)
                json_add(record, "packages", json_from_strv(c->packages));
        report_progress(STDERR_FILENO, "prepare", "starting mmdebstrap");
        return run_mmdebstrap(m, argv, err);
}

/* What mmdebstrap leaves of the machine that it ran on. */
static void remove_traces(const struct making *m)
{
        for (const char *const *f = (const char *const[]){"etc/hostname", "etc/resolv.conf", NULL}; *f; f++) {
                autofree char *path = xasprintf("%s/%s", m->new.root, *f);
                unlink(path);
        }
}

static int check(struct making *m, struct error *err)
{
        if (chroot_check_new(m->c->store, m->c->operands[0], err) < 0)
                return -1;
        m->suite = m->c->suite ? xstrdup(m->c->suite) : first_value("/usr/lib/os-release", "VERSION_CODENAME=");
        if (!m->suite)
                return error_set(err, ERR_INVALID, "name a suite with --suite: the VM's /usr/lib/os-release does not");
        if (m->suite[0] == '-' || (m->c->architecture && m->c->architecture[0] == '-'))
                return error_set(err, ERR_INVALID, "neither a suite nor an architecture begins with '-'");
        return 0;
}

/* Who verifies and downloads for apt is not root, and looks for the keyring below it. */
static int make_folders(struct making *m, struct error *err)
{
        if (store_new(m->c->store, &m->new, err) < 0)
                return -1;
        m->temporary = xasprintf("%s/tmp", m->new.path);
        if (chmod(m->new.path, 0711) < 0 || mkdir(m->temporary, 0711) < 0 || chmod(m->temporary, 0711) < 0 ||
            setenv("TMPDIR", m->temporary, 1) < 0)
                return error_errno(err, errno, "cannot make the folder '%s'", m->temporary);
        return 0;
}

int chroot_create(struct chroot_command *c, struct error *err)
{
        struct making m = {.c = c, .new = NEW_CHROOT_INIT};
        struct json_object *record = json_new();
        int r = -1;

        if (check(&m, err) == 0 && make_folders(&m, err) == 0 && make(&m, record, err) == 0 &&
            tree_remove(m.temporary, err) == 0) {
                autojson struct json_object *machine = chroot_look_at("/");

                remove_traces(&m);
                json_add_string(record, "architecture",
                                c->architecture ? c->architecture : json_get_string(machine, "architecture", NULL));
                json_add_string(record, "suite", m.suite);
                json_add_string(record, "origin", "mmdebstrap");
                r = chroot_finish(c->store, &m.new, c->operands[0], take_ptr(record), err);
        }
        json_object_put(record);
        new_chroot_done(&m.new);
        free(m.temporary);
        free(m.suite);
        free(m.reason);
        for (size_t i = 0; i < TAIL_SHOWN; i++)
                free(m.tail[i]);
        buf_done(&m.line);
        return r;
}
