/* SPDX-License-Identifier: MIT */
#include "base/paths.h"

#include "base/file.h"
#include "base/util.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

static const char *const variables[] = {"INITVM_HOME",     "HOME",          "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
                                        "XDG_CONFIG_HOME", "XDG_CACHE_HOME"};
static char *saved[ARRAY_SIZE(variables)];

static int setup(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
                const char *value = getenv(variables[i]);
                saved[i] = value ? xstrdup(value) : NULL;
                unsetenv(variables[i]);
        }
        return scratch_setup(state);
}

static int teardown(void **state)
{
        for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
                if (saved[i])
                        setenv(variables[i], saved[i], 1);
                else
                        unsetenv(variables[i]);
                free(saved[i]);
        }
        return scratch_teardown(state);
}

/* As an ordinary user, who is root otherwise. */
static int init_as_user(struct paths *p, struct error *err)
{
        bool root = geteuid() == 0;
        int r;

        if (root)
                assert_int_equal(seteuid(NOBODY), 0);
        r = paths_init(p, err);
        if (root)
                assert_int_equal(seteuid(0), 0);
        return r;
}

static void test_home(void **state)
{
        struct paths p;
        struct error err = ERROR_INIT;
        (void)state;

        setenv("INITVM_HOME", "/srv/it", 1);
        setenv("HOME", "/home/u", 1);
        setenv("XDG_STATE_HOME", "/elsewhere", 1);
        assert_int_equal(paths_init(&p, &err), 0);
        assert_string_equal(p.state, "/srv/it");
        assert_string_equal(p.runtime, "/srv/it/run");
        assert_string_equal(p.config, "/srv/it/config");
        assert_string_equal(p.cache, "/srv/it/cache");
        assert_string_equal(p.socket, "/srv/it/run/socket");
        assert_string_equal(p.log, "/srv/it/initvmd.log");
        assert_true(str_has_suffix(p.images, "/images"));
        assert_true(str_has_suffix(p.preseed, "/preseed"));
        paths_done(&p);
        assert_null(p.state);
        paths_done(&p); /* twice is fine */
}

static void test_relative_home(void **state)
{
        struct paths p;
        struct error err = ERROR_INIT;
        (void)state;

        setenv("INITVM_HOME", "./here", 1);
        assert_int_equal(paths_init(&p, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.message, "INITVM_HOME"));
        assert_non_null(strstr(err.message, "'./here'"));
}

static void test_user(void **state)
{
        static const struct {
                const char *set[6]; /* in the order of `variables` */
                const char *state, *runtime, *config, *cache;
        } cases[] = {
                {{NULL, "/home/u"},
                 "/home/u/.local/state/initvm",
                 "/home/u/.local/state/initvm/run",
                 "/home/u/.config/initvm",
                 "/home/u/.cache/initvm"},
                {{NULL, "/home/u", "/run/user/7", "/s", "/c", "/k"}, "/s/initvm", "/run/user/7/initvm", "/c/initvm", "/k/initvm"},
                /* Relative and empty ones are to be ignored. */
                {{"", "/home/u", "run", "s", "", "./k"},
                 "/home/u/.local/state/initvm",
                 "/home/u/.local/state/initvm/run",
                 "/home/u/.config/initvm",
                 "/home/u/.cache/initvm"},
                {{NULL, "relative"}, NULL, NULL, NULL, NULL},
                {{NULL, NULL, "/run/user/7", "/s", "/c", "/k"}, NULL, NULL, NULL, NULL},
        };
        (void)state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct paths p;
                struct error err = ERROR_INIT;
                int r;

                for (size_t v = 0; v < ARRAY_SIZE(variables); v++)
                        if (cases[i].set[v])
                                setenv(variables[v], cases[i].set[v], 1);
                        else
                                unsetenv(variables[v]);
                r = init_as_user(&p, &err);
                assert_int_equal(r, cases[i].state ? 0 : -1);
                if (r == 0) {
                        assert_string_equal(p.state, cases[i].state);
                        assert_string_equal(p.runtime, cases[i].runtime);
                        assert_string_equal(p.config, cases[i].config);
                        assert_string_equal(p.cache, cases[i].cache);
                } else {
                        assert_non_null(strstr(err.message, "HOME"));
                }
                paths_done(&p);
        }
}

static void test_root(void **state)
{
        struct paths p;
        (void)state;

        if (geteuid() != 0) {
                print_message("# skipped: the folders of root are tested as root\n");
                skip();
        }
        setenv("HOME", "/root", 1);
        setenv("XDG_STATE_HOME", "/s", 1);
        assert_int_equal(paths_init(&p, NULL), 0);
        assert_string_equal(p.state, "/var/lib/initvm");
        assert_string_equal(p.socket, "/run/initvm/socket");
        assert_string_equal(p.config, "/etc/initvm");
        assert_string_equal(p.cache, "/var/cache/initvm");
        paths_done(&p);
}

static char *path_of_length(size_t n)
{
        char *path = xcalloc(n + 1, 1);

        memset(path, 'x', n);
        path[0] = '/';
        return path;
}

static void test_too_long(void **state)
{
        struct paths p;
        struct error err = ERROR_INIT;
        autofree char *fits = path_of_length(PATHS_STATE_MAX), *longer = path_of_length(PATHS_STATE_MAX + 1);
        size_t room = PATHS_SOCKET_MAX - strlen("/initvm/socket");
        autofree char *runtime_fits = path_of_length(room), *runtime_longer = path_of_length(room + 1);
        (void)state;

        setenv("INITVM_HOME", fits, 1);
        assert_int_equal(paths_init(&p, &err), 0);
        paths_done(&p);
        setenv("INITVM_HOME", longer, 1);
        assert_int_equal(paths_init(&p, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.message, longer));
        assert_non_null(strstr(err.message, "set INITVM_HOME"));
        assert_null(p.state);

        unsetenv("INITVM_HOME");
        setenv("HOME", "/h", 1);
        setenv("XDG_RUNTIME_DIR", runtime_fits, 1);
        assert_int_equal(init_as_user(&p, &err), 0);
        assert_int_equal(strlen(p.socket), PATHS_SOCKET_MAX);
        paths_done(&p);
        setenv("XDG_RUNTIME_DIR", runtime_longer, 1);
        assert_int_equal(init_as_user(&p, &err), -1);
        assert_non_null(strstr(err.message, "too long for a socket"));
}

static void assert_mode(const char *path, unsigned mode)
{
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, mode);
}

static void test_make(void **state)
{
        autofree char *home = scratch_path(state, "home"), *file = scratch_file(state, "file", "", 0, 0600);
        struct paths p;
        struct error err = ERROR_INIT;

        setenv("INITVM_HOME", home, 1);
        assert_int_equal(paths_init(&p, &err), 0);
        assert_int_equal(paths_make(&p, &err), 0);
        assert_mode(p.state, geteuid() == 0 ? 0711 : 0700);
        assert_mode(p.runtime, 0700);
        assert_mode(p.cache, 0700);
        assert_int_equal(access(p.config, F_OK), -1); /* the user's to make */
        assert_int_equal(chmod(p.runtime, 0777), 0);
        assert_int_equal(paths_make(&p, &err), 0); /* closed again */
        assert_mode(p.runtime, 0700);
        if (geteuid() == 0) {
                assert_int_equal(chown(p.runtime, NOBODY, NOBODY), 0);
                assert_int_equal(paths_make(&p, &err), -1);
                assert_int_equal(err.code, ERR_DENIED);
                assert_non_null(strstr(err.message, "uid 65534"));
        }
        paths_done(&p);

        setenv("INITVM_HOME", file, 1);
        assert_int_equal(paths_init(&p, &err), 0);
        assert_int_equal(paths_make(&p, &err), -1);
        assert_non_null(strstr(err.message, file));
        paths_done(&p);
}

static void test_program(void **state)
{
        struct error err = ERROR_INIT;
        autofree char *self = paths_program("test_paths", &err);
        (void)state;

        assert_non_null(self);
        assert_int_equal(access(self, X_OK), 0);
        assert_null(paths_program("initvm-no-such-program", &err));
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_non_null(strstr(err.message, "'initvm-no-such-program'"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_home, setup, teardown),
                cmocka_unit_test_setup_teardown(test_relative_home, setup, teardown),
                cmocka_unit_test_setup_teardown(test_user, setup, teardown),
                cmocka_unit_test_setup_teardown(test_root, setup, teardown),
                cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
                cmocka_unit_test_setup_teardown(test_make, setup, teardown),
                cmocka_unit_test(test_program),
        };

        umask(022);
        return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
