/* SPDX-License-Identifier: MIT */
#include "chroot/command.h"

#include "archive/report.h"
#include "base/file.h"
#include "chroot/command_private.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OS_RELEASE_MAX  (16u << 10)
#define DPKG_STATUS_MAX (32u << 20)

/* ---- what several commands need */

int chroot_check_new(const struct store *s, const char *name, struct error *err)
{
        return chroot_name_check(name, err) < 0 ? -1 : store_check_free(s, name, err);
}

int chroot_finish(const struct store *s, struct new_chroot *n, const char *name, struct json_object *owned, struct error *err)
{
        autojson struct json_object *record = owned;
        autoclose int lock = -1;

        json_add_string(record, "name", name);
        json_add_u64(record, "created", (uint64_t)time(NULL));
        json_add_u64(record, "size", tree_size(n->root));
        lock = store_lock(s, err);
        if (lock < 0 || store_commit(s, n, name, record, -1, err) < 0)
                return -1;
        printf("%s\n", json_line(record));
        return 0;
}

char *chroot_value_of(const char *text, const char *key)
{
        size_t n = strlen(key);

        for (const char *line = text; line && *line && *line != '\n'; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, key, n) == 0)
                        return xstrndup(line + n, strcspn(line + n, "\n"));
        return NULL;
}

/* A file in the tree, whose symbolic links lead nowhere outside. Owned, or NULL. */
static char *read_inside(const char *root, const char *path, size_t max)
{
        autofree char *full = xasprintf("%s/%s", root, path);
        struct stat st;

        if (lstat(full, &st) < 0 || !S_ISREG(st.st_mode))
                return NULL;
        return file_read(full, max, NULL, NULL);
}

struct json_object *chroot_look_at(const char *root)
{
        autofree char *release = read_inside(root, "usr/lib/os-release", OS_RELEASE_MAX);
        autofree char *status = read_inside(root, "var/lib/dpkg/status", DPKG_STATUS_MAX);
        autofree char *suite = release ? chroot_value_of(release, "VERSION_CODENAME=") : NULL;
        const char *dpkg = status ? strstr(status, "Package: dpkg\n") : NULL; /* which is of the main architecture */
        autofree char *architecture = dpkg ? chroot_value_of(dpkg, "Architecture: ") : NULL;
        struct json_object *record = json_new();

        json_add_string(record, "architecture", architecture);
        json_add_string(record, "suite", suite);
        return record;
}

/* ---- the short ones */

static int list(struct chroot_command *c, struct error *err)
{
        autostrv char **names = store_names(c->store);

        for (char **name = names; *name; name++) {
                autojson struct json_object *record = store_record(c->store, *name, err);

                if (record)
                        printf("%s\n", json_line(record));
                else if (err->code != ERR_NOT_FOUND) /* else it has just been removed */
                        return -1;
        }
        return 0;
}

static int show(struct chroot_command *c, struct error *err)
{
        const char *name = c->operands[0];
        autojson struct json_object *record = chroot_name_check(name, err) < 0 ? NULL : store_record(c->store, name, err);
        autofree char *folder = xasprintf("%s/%s/root", c->store->chroots, name);

        if (!record)
                return -1;
        json_add_string(record, "folder", folder);
        printf("%s\n", json_line(record));
        return 0;
}

/* ---- the command line */

enum {
        MORE = 1,       /* operands may follow */
        OWN_STATUS = 2, /* the exit status is another program's */
        WHOLE = 4,      /* no signal ends it half-way: it is short, or ends with its input */
};

static const struct {
        const char *name;
        unsigned operands, flags;
        int (*run)(struct chroot_command *c, struct error *err);
} table[] = {
        {"create", 1, 0, chroot_create},
        {"build", 1, 0, chroot_build},
        {"key", 1, 0, chroot_key},
        {"unpack", 1, WHOLE, chroot_unpack},
        {"list", 0, 0, list},
        {"show", 1, 0, show},
        {"run", 2, MORE | OWN_STATUS, chroot_run},
        {"shell", 1, MORE | OWN_STATUS, chroot_shell},
        {"clone", 2, WHOLE, chroot_clone},
        {"rename", 2, WHOLE, chroot_rename},
        {"remove", 1, MORE | WHOLE, chroot_remove},
        {"export", 1, 0, chroot_export},
        {"import", 1, WHOLE, chroot_import},
        {"ps", 0, 0, chroot_ps},
};

static const struct option options[] = {
        {"architecture", required_argument, NULL, 'a'},
        {"suite", required_argument, NULL, 's'},
        {"variant", required_argument, NULL, 'v'},
        {"package", required_argument, NULL, 'p'},
        {"mirror", required_argument, NULL, 'm'},
        {"build-arg", required_argument, NULL, 'B'},
        {"keyring", no_argument, NULL, 'k'},
        {"key", required_argument, NULL, 'K'},
        {"user", required_argument, NULL, 'u'},
        {"cwd", required_argument, NULL, 'c'},
        {"env", required_argument, NULL, 'e'},
        {"bind", required_argument, NULL, 'b'},
        {"terminal", no_argument, NULL, 't'},
        {"save-as", required_argument, NULL, 'S'},
        {"ask", no_argument, NULL, 'A'},
        {"no-native", no_argument, NULL, 'N'},
        {"state", required_argument, NULL, 'D'},
        {"runtime", required_argument, NULL, 'R'},
        {0},
};

static int parse(struct chroot_command *c, int argc, char **argv, const char **ret_state, const char **ret_runtime,
                 struct error *err)
{
        int option;

        opterr = 0; /* standard error is for reports */
        while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
                switch (option) {
                case 'a':
                        c->architecture = optarg;
                        break;
                case 's':
                        c->suite = optarg;
                        break;
                case 'v':
                        c->variant = optarg;
                        break;
                case 'p':
                        strv_add(&c->packages, optarg);
                        break;
                case 'm':
                        strv_add(&c->mirrors, optarg);
                        break;
                case 'B':
                        strv_add(&c->build_arguments, optarg);
                        break;
                case 'k':
                        c->keyring = true;
                        break;
                case 'K':
                        c->key = optarg;
                        break;
                case 'u':
                        c->user = optarg;
                        break;
                case 'c':
                        c->cwd = optarg;
                        break;
                case 'e':
                        strv_add(&c->environment, optarg);
                        break;
                case 'b':
                        strv_add(&c->binds, optarg);
                        break;
                case 't':
                        c->terminal = true;
                        break;
                case 'S':
                        c->save_as = optarg;
                        break;
                case 'A':
                        c->ask = true;
                        break;
                case 'N':
                        c->no_native = true;
                        break;
                case 'D':
                        *ret_state = optarg;
                        break;
                case 'R':
                        *ret_runtime = optarg;
                        break;
                default:
                        return error_set(err, ERR_UNSUPPORTED, "the agent in the VM does not know '%s'; it is of version %s",
                                         argv[optind - 1], INITVM_VERSION);
                }
        c->operands = argv + optind;
        return 0;
}

static int run(size_t i, struct chroot_command *c, int argc, char **argv, struct error *err)
{
        const char *state = STORE_STATE, *runtime = STORE_RUNTIME;
        autostore struct store store = {0};
        size_t n;

        if (parse(c, argc, argv, &state, &runtime, err) < 0)
                return -1;
        n = strv_length(c->operands);
        if (n < table[i].operands || (n > table[i].operands && !(table[i].flags & MORE)))
                return error_set(err, ERR_INVALID, "'--chroot %s' wants %u operands", table[i].name, table[i].operands);
        if (store_open(&store, state, runtime, err) < 0)
                return -1;
        c->store = &store;
        if (table[i].run(c, err) < 0)
                return -1;
        if (fflush(stdout) == EOF)
                return error_errno(err, errno, "cannot write the result");
        return 0;
}

int chroot_main(int argc, char **argv)
{
        struct chroot_command c = {0};
        struct error err = ERROR_INIT;
        bool own_status = false;
        size_t i = 0;
        int r;

        signal(SIGPIPE, SIG_IGN);
        umask(022);
        setlocale(LC_CTYPE, "C.UTF-8"); /* rootfs.h; it is part of every glibc from 2.35 on */
        while (i < ARRAY_SIZE(table) && (argc < 2 || !streq(argv[1], table[i].name)))
                i++;
        if (i < ARRAY_SIZE(table)) {
                own_status = table[i].flags & OWN_STATUS;
                for (const int *signo = (const int[]){SIGTERM, SIGINT, SIGHUP, SIGQUIT, 0}; (table[i].flags & WHOLE) && *signo;
                     signo++)
                        signal(*signo, SIG_IGN);
                r = run(i, &c, argc - 1, argv + 1, &err);
        } else {
                r = error_set(&err, ERR_UNSUPPORTED, "the agent in the VM does not know '--chroot %s'; it is of version %s",
                              argc < 2 ? "" : argv[1], INITVM_VERSION);
        }
        strv_free(c.packages);
        strv_free(c.mirrors);
        strv_free(c.build_arguments);
        strv_free(c.environment);
        strv_free(c.binds);
        if (r == 0)
                return c.status;
        if (!own_status)
                report_error(STDERR_FILENO, &err);
        else
                dprintf(STDERR_FILENO, "initvm: %s\n", err.message);
        return own_status ? error_exec_status(err.code) : error_exit_status(err.code);
}
